// Addresses of four rows of a matrix, `stride` apart.

#define_import_path wgflow::rows

fn rows(offset: u32, stride: u32) -> vec4<u32> {
    return vec4(offset) + vec4(0u, 1u, 2u, 3u) * stride;
}
