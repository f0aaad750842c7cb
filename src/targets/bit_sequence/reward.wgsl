// Minus the Hamming distance of an object's bits to the nearest mode. The host multiplies by beta / n.
//
// WORD bits a site, AT_ONCE sites a chunk, CHUNKS chunks, MODES modes. parameter(mode * CHUNKS + chunk): a mode's bits of a chunk.

fn log_reward(trajectory: u32) -> f32 {
    var chunks: array<u32, CHUNKS>;
    for (var site = 0u; site < SITES; site++) {
        chunks[site / AT_ONCE] = (chunks[site / AT_ONCE] << WORD) | value(trajectory, site);
    }
    var nearest = SITES * WORD;
    for (var mode = 0u; mode < MODES; mode++) {
        var distance = 0u;
        for (var chunk = 0u; chunk < CHUNKS; chunk++) {
            distance += countOneBits(chunks[chunk] ^ u32(parameter(mode * CHUNKS + chunk)));
        }
        nearest = min(nearest, distance);
    }
    return -f32(nearest);
}
