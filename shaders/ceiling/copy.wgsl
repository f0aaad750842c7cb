// copied = source, a quad an invocation: what a device moves at best.

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<f32>>;

@compute @workgroup_size(256)
fn copy(@builtin(global_invocation_id) place: vec3<u32>) {
    copied[place.x] = source[place.x];
}
