//! How a batch is cut in parts that are worked on at once, and how many of them stay on the device between a rollout and its
//! gradient.
//!
//! A part that stays has a bank of buffers of its own. So a batch may keep more than an adapter allows a single buffer, or than kernels
//! loop over, and what only one part at a time needs is there once.

/// What a block takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Bytes in a bank.
    pub kept: u64,
    /// Bytes that parts share, one after the other.
    pub shared: u64,
    /// Most blocks of a part.
    pub most: usize,
}

/// Banks that a batch is cut in, where buffers may be large enough for fewer: what is shared takes no more than such a share then.
const BANKS: usize = 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Of a part; the last one may have fewer.
    pub blocks: usize,
    /// Parts that stay. Those beyond are replayed for a gradient, in the last bank.
    pub banks: usize,
}

impl Parts {
    /// Of a batch of so many blocks: as few parts as there may be for all of them to stay within `budget` bytes, or else small
    /// ones, of which as many stay as fit. One always does.
    pub fn of(blocks: usize, sizes: Sizes, budget: u64) -> Self {
        let fewest = blocks.div_ceil(sizes.most).max(1);
        let cuts = (fewest..=fewest.max(BANKS)).map(|count| {
            let part = blocks.div_ceil(count).max(1);
            Self { blocks: part, banks: blocks.div_ceil(part) }
        });
        if let Some(parts) = cuts.into_iter().find(|parts| parts.bytes(sizes) <= budget) {
            return parts;
        }
        let part = (budget / (BANKS as u64 * sizes.kept + sizes.shared)).clamp(1, sizes.most.min(blocks).max(1) as u64);
        let banks = budget.saturating_sub(part * sizes.shared) / (part * sizes.kept);
        Self { blocks: part as usize, banks: banks.clamp(1, blocks.div_ceil(part as usize).max(1) as u64) as usize }
    }

    fn bytes(self, sizes: Sizes) -> u64 {
        self.blocks as u64 * (self.banks as u64 * sizes.kept + sizes.shared)
    }

    /// First block and number of blocks of each part of a batch of so many.
    pub fn each(self, blocks: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..blocks).step_by(self.blocks.max(1)).map(move |first| (first, self.blocks.min(blocks - first)))
    }

    /// The bank of a part, counted from the first one.
    pub fn bank(self, part: usize) -> usize {
        part.min(self.banks.saturating_sub(1))
    }

    /// Blocks of a batch of so many that stay.
    pub fn kept(self, blocks: usize) -> usize {
        blocks.min(self.blocks * self.banks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(blocks: usize, banks: usize) -> Parts {
        Parts { blocks, banks }
    }

    #[test]
    fn batches_are_cut_no_more_than_they_must_be() {
        let in_place = Sizes { kept: 20, shared: 0, most: 100 };
        for (blocks, budget, expected) in [
            (64, 64 * 20, parts(64, 1)),
            // Buffers are too small for one part.
            (128, 128 * 20, parts(64, 2)),
            (1000, 1000 * 20, parts(100, 10)),
            // Memory is too small for all: an eighth of it each.
            (64, 64 * 20 - 1, parts(7, 9)),
            (64, 40 * 20, parts(5, 8)),
            (64, 8 * 20, parts(1, 8)),
            (64, 19, parts(1, 1)),
            (64, 0, parts(1, 1)),
            (1, 0, parts(1, 1)),
        ] {
            assert_eq!(Parts::of(blocks, in_place, budget), expected, "{blocks} blocks in {budget} bytes");
        }
        let shared = Sizes { kept: 10, shared: 10, most: 100 };
        for (blocks, budget, expected) in [
            (64, 64 * 20, parts(64, 1)),
            // One byte less, and two parts share what each needs for itself at a time.
            (64, 64 * 20 - 1, parts(32, 2)),
            (64, 64 * 15 - 1, parts(22, 3)),
            (64, 64 * 10 + 80, parts(8, 8)),
            (64, 64 * 10 + 79, parts(7, 9)),
            (64, 20, parts(1, 1)),
            (64, 0, parts(1, 1)),
        ] {
            assert_eq!(Parts::of(blocks, shared, budget), expected, "{blocks} blocks in {budget} bytes");
        }
    }

    #[test]
    fn what_stays_fits_and_parts_are_the_batch() {
        let mut looked = 0;
        for (kept, shared, most) in [(20, 0, 100), (10, 10, 100), (7, 3, 5), (1, 100, 512)] {
            let sizes = Sizes { kept, shared, most };
            for blocks in 1..300 {
                for budget in (0..6000).step_by(97) {
                    let parts = Parts::of(blocks, sizes, budget);
                    let one = Parts { blocks: 1, banks: 1 };
                    assert!(parts.bytes(sizes) <= budget.max(one.bytes(sizes)), "{parts:?} in {budget}");
                    assert!((1..=most).contains(&parts.blocks) && parts.banks >= 1, "{parts:?}");
                    let each: Vec<_> = parts.each(blocks).collect();
                    assert_eq!(each.iter().map(|(_, count)| count).sum::<usize>(), blocks);
                    assert!(parts.banks <= each.len() && parts.kept(blocks) <= blocks, "{parts:?} of {blocks}");
                    looked += 1;
                }
            }
        }
        assert!(looked > 50_000);
    }
}
