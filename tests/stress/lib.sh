# What the stress scripts share: a binary, a small experiment, and what a run must look like. To be sourced.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo build --release
wgflow=$(realpath "${CARGO_TARGET_DIR:-target}/release/wgflow")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"

cat > small.toml <<'TOML'
target = { kind = "ising", side = 4, coupling = 0.3 }
policy = { hidden = [32, 32], initialisation = "fan_in" }
objective = { kind = "alpha_tb", alpha = 0.5 }
training = { iterations = 400, batch = 64, log_every = 5, checkpoint_seconds = 0.0 }
evaluation = { samples = 4096, every = 100 }
engine = { kind = "cpu" }
TOML
cat > suite.toml <<'TOML'
name = "small"
base = "small.toml"
seeds = 3
[grid]
"target.coupling" = [0.2, 0.4]
TOML

fail() {
    echo "FAILED: $*" >&2
    # What went wrong stays to be looked at.
    trap - EXIT
    echo "everything is in $place" >&2
    exit 1
}

# The seed in a file of TOML or JSON.
seed_of() {
    grep -oE '"?seed"?[ =:]+[0-9]+' "$1" | grep -oE '[0-9]+$'
}

# A metrics log without its times, the only thing in it that two equal runs differ in.
timeless() {
    sed -E 's/"seconds":[^,}]*//' "$1"
}

# Two runs that must be the same one: to the byte, but for times.
same_run() {
    cmp "$1/checkpoint.safetensors" "$2/checkpoint.safetensors" || fail "$1 and $2 have different checkpoints"
    cmp <(timeless "$1/metrics.jsonl") <(timeless "$2/metrics.jsonl") || fail "$1 and $2 have different logs"
    [ -z "$(find "$1" -name '*.partial')" ] || fail "$1 holds half-written files"
}
