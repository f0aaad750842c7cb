use super::*;
use crate::compare::assert_close;
use crate::logs::log_sum_exp;

fn all(target: &BitSequence) -> Objects {
    Objects::numbered(target.sites(), target.values(), 0..1 << target.length)
}

fn log_rewards(target: &BitSequence, objects: &Objects) -> Vec<f64> {
    let mut log_reward = vec![f64::NAN; objects.count()];
    target.log_reward(objects, &mut log_reward);
    log_reward
}

/// The bits of an object as text, the first bit of a word being its highest.
fn text(object: &[u8], word: usize) -> String {
    object.iter().map(|value| format!("{value:0word$b}")).collect()
}

#[test]
fn log_r_is_the_distance_of_the_texts_to_the_nearest_mode() {
    for (length, word, modes) in [(6, 2, 3), (8, 4, 4), (9, 3, 5), (7, 1, 2), (16, 8, 10)] {
        let target = BitSequence::new(length, word, modes, 5, 2.5).unwrap();
        let texts: Vec<String> = target.mode_objects().rows().map(|mode| text(mode, word)).collect();
        let objects = all(&target);
        let expected: Vec<f64> = objects
            .rows()
            .map(|object| {
                let bits = text(object, word);
                let distance =
                    |mode: &String| mode.bytes().zip(bits.bytes()).filter(|(one, other)| one != other).count();
                -2.5 * texts.iter().map(distance).min().unwrap() as f64 / length as f64
            })
            .collect();
        assert_close(&log_rewards(&target, &objects), &expected, 1e-15, "log R");
        assert_close(&[target.log_z().unwrap()], &[log_sum_exp(&expected)], 1e-12, "log Z");
    }
}

#[test]
fn objects_counted_by_their_distances_are_all_objects() {
    for (length, modes) in [(6, 3), (8, 5), (13, 7), (16, 25)] {
        let target = BitSequence::new(length, 1, modes, 3, 4.0).unwrap();
        let log_rewards = log_rewards(&target, &all(&target));
        let counted = distances::log_z(&target.modes, 4.0 / length as f64).unwrap();
        assert_close(&[counted], &[log_sum_exp(&log_rewards)], 1e-12, "log Z");
    }
    // One mode: each bit is the mode's or not.
    let alone = BitSequence::new(120, 8, 1, 0, 360.0).unwrap();
    assert_close(&[alone.log_z().unwrap()], &[120.0 * (-3.0_f64).exp().ln_1p()], 1e-9, "log Z of one mode");
    let message = BitSequence::new(120, 8, 60, 0, 3.0).unwrap().log_z().unwrap_err().to_string();
    assert!(message.contains("120 bits") && message.contains("60 modes"), "{message}");
}

#[test]
fn modes_are_different_and_made_of_the_paper_s_words() {
    let target = BitSequence::new(120, 8, 60, 1, 3.0).unwrap();
    let modes = target.mode_objects();
    assert_eq!((modes.count(), modes.sites()), (60, 15));
    assert!(modes.values().iter().all(|value| [0, 0xff, 0xf0, 0x0f, 0x3c].contains(value)));
    let different: std::collections::BTreeSet<&[u8]> = modes.rows().collect();
    assert_eq!(different.len(), 60);
    assert_ne!(modes, BitSequence::new(120, 8, 60, 2, 3.0).unwrap().mode_objects());
    // All 25 that there are.
    assert_eq!(BitSequence::new(16, 8, 25, 1, 3.0).unwrap().mode_objects().count(), 25);
    let fair = BitSequence::new(12, 4, 2000, 1, 3.0).unwrap();
    let ones: u32 = fair.mode_objects().values().iter().map(|value| value.count_ones()).sum();
    // 24,000 fair bits: a deviation of 77.
    assert!(ones.abs_diff(12_000) < 400, "{ones}");
}

#[test]
fn the_test_set_has_every_mode_with_every_number_of_flipped_bits() {
    let target = BitSequence::new(40, 8, 4, 7, 3.0).unwrap();
    let objects = target.test_objects().unwrap();
    assert_eq!(objects.count(), 4 * 40);
    for mode in &target.packed {
        let mut distances: Vec<u32> = objects.rows().map(|object| distance(mode, &target.pack(object))).collect();
        distances.sort_unstable();
        // Of its own 40 copies, one has each distance; others may as well.
        assert!((0..40).all(|flipped| distances.contains(&flipped)));
    }
    assert!(objects.rows().filter(|object| target.distance(object) == 0).count() >= 4);
}

#[test]
fn modes_are_reached_within_their_radius() {
    let target = BitSequence::new(120, 4, 5, 7, 3.0).unwrap();
    assert_eq!(target.radius(), 28);
    let modes = target.modes().unwrap();
    let mut reached = vec![false; modes.count];
    let mut object = target.mode_objects().row(2).to_vec();
    object[..7].iter_mut().for_each(|value| *value ^= 15);
    modes.mark(&Objects::new(30, object.clone()), &mut reached);
    let expected: Vec<bool> = target.packed.iter().map(|mode| distance(mode, &target.pack(&object)) <= 28).collect();
    assert_eq!(reached, expected);
    assert!(reached[2], "28 bits off");
    object[7] ^= 1;
    assert_eq!(distance(&target.packed[2], &target.pack(&object)), 29);
    let mut reached = vec![false; modes.count];
    modes.mark(&Objects::new(30, object), &mut reached);
    assert!(!reached[2], "29 bits off");
}

#[test]
fn what_is_out_of_range_is_named() {
    let message = |length, word, modes, beta| BitSequence::new(length, word, modes, 0, beta).unwrap_err().to_string();
    assert!(message(0, 1, 1, 1.0).contains("length = 0: must be 1 to 4096"));
    assert!(message(120, 9, 1, 1.0).contains("word = 9: must be 1 to 8"));
    assert!(message(120, 7, 1, 1.0).contains("divide length = 120"));
    assert!(message(8, 1, 6, 1.0).contains("modes = 6: must be 1 to 5 at length = 8"));
    assert!(message(120, 8, 5000, 1.0).contains("1 to 4096"));
    assert!(message(3, 1, 9, 1.0).contains("1 to 8"));
    for beta in [0.0, -1.0, f64::NAN, 2e6] {
        assert!(message(8, 8, 1, beta).contains("beta ="), "{beta}");
    }
}
