//! Tables of rewards: on both engines, in training, and from whatever text.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::Setting;
use common::compare::{assert_close, assert_close_at_scale};
use common::mutated::mutated;
use wgflow::config::Inputs;
use wgflow::engine::gpu::{GpuEngine, GpuOptions};
use wgflow::engine::{Differentiate, Roll};
use wgflow::network::Activation;
use wgflow::process::{Objects, Order};
use wgflow::random::{Draw, Stream};
use wgflow::targets::table::{Options, Table, Transform};
use wgflow::targets::{InputFiles, Target};
use wgflow::trainer::Trainer;

/// All sequences of `sites` letters of ACGT (or its beginning), with rewards that vary by a factor of twenty.
fn rows(letters: &str, sites: u32) -> String {
    let mut text = String::from("sequence,reward\n");
    for mut number in 0..letters.len().pow(sites) {
        let reward = 0.1 + 2.0 * f64::from((number * 2_654_435_761 % 1000) as u32) / 1000.0;
        for _ in 0..sites {
            text.push(char::from(letters.as_bytes()[number % letters.len()]));
            number /= letters.len();
        }
        text += &format!(",{reward}\n");
    }
    text
}

/// The 27 sequences of three letters.
fn small() -> String {
    rows("ACG", 3)
}

fn expected(target: &dyn Target, objects: &Objects) -> Vec<f64> {
    let mut log_reward = vec![f64::NAN; objects.count()];
    target.log_reward(objects, &mut log_reward);
    log_reward
}

#[test]
fn log_r_is_the_same_on_both_engines() {
    let holes: String =
        small().lines().enumerate().filter(|(line, _)| line % 4 != 3).map(|(_, l)| format!("{l}\n")).collect();
    let zero = small().replace("AAA,0.1", "AAA,0");
    assert_ne!(zero, small());
    let linear = Options { transform: Transform::Linear, beta: 3.0, default: Some(-0.5), ..Options::default() };
    // The last has too many sequences for a kernel to number them: the host looks them up.
    let long = "sequence,reward\nACGTACGTACGTA,2\nCCCCCCCCCCCCC,3\nGGGGGGGGGGGGG,0.5\n".to_string();
    let cases = [
        (small(), Options::default()),
        (zero, Options::default()),
        (holes.clone(), Options::default()),
        (holes, linear),
        (long, Options::default()),
    ];
    for (number, (text, options)) in cases.into_iter().enumerate() {
        let target = Arc::new(Table::parse("t", &text, &options).unwrap());
        assert_eq!(target.kernel().is_some(), number < 4);
        let setting = Setting::new(target.clone(), Order::Fixed, &[8], Activation::Relu);
        let gpu = GpuOptions { adapter: std::env::var("WGFLOW_ADAPTER").ok(), ..GpuOptions::default() };
        let (process, layout) = (setting.process.clone(), setting.layout.clone());
        let mut engine =
            GpuEngine::new(process, layout, setting.activation, setting.target.clone(), gpu).expect("an adapter");
        engine.set_parameters(&setting.parameters()).unwrap();
        let mut objects = Objects::numbered(target.sites(), target.values(), 0..27);
        objects.extend(&target.test_objects().unwrap());
        let (found, expected) = (engine.log_reward(&objects).unwrap(), expected(target.as_ref(), &objects));
        let finite = |numbers: &[f64]| numbers.iter().map(|number| number.max(-1e9)).collect::<Vec<_>>();
        assert_eq!(
            found.iter().map(|r| r.is_finite()).collect::<Vec<_>>(),
            expected.iter().map(|r| r.is_finite()).collect::<Vec<_>>()
        );
        let scales: Vec<f64> = expected.iter().map(|number| number.abs().clamp(1e-6, 1e9)).collect();
        // One rounding to f32.
        assert_close_at_scale(&finite(&found), &finite(&expected), &scales, 1e-7, &format!("case {number}"));
    }
}

fn trainer(target: &str, changes: &[&str]) -> Result<Trainer, String> {
    trainer_of(target, changes, Inputs::Files)
}

fn trainer_of(target: &str, changes: &[&str], inputs: Inputs) -> Result<Trainer, String> {
    let text = format!(
        "target = {{ kind = 'table', {target} }}
        policy = {{ hidden = [32, 32], order = 'fixed', activation = 'relu', initialisation = 'fan_in' }}
        objective = {{ kind = 'trajectory_balance' }}
        optimizer = {{ learning_rate = 5e-3 }}
        evaluation = {{ samples = 4096 }}
        training = {{ iterations = 300, batch = 64 }}
        engine = {{ kind = 'cpu' }}"
    );
    common::built(&text, changes, inputs)
}

#[test]
fn a_policy_learns_a_table_of_27_rows() {
    let mut trainer = trainer(&format!("text = {:?}", small()), &[]).unwrap();
    while !trainer.is_done() {
        trainer.step().unwrap();
    }
    let all = Objects::numbered(3, 3, 0..27);
    let batch = trainer.evaluate_backward(1, 0, &all).unwrap();
    let log_z = trainer.target().log_z().unwrap();
    let made: Vec<f64> = batch.log_forward.iter().map(|log_forward| log_forward.exp()).collect();
    let wanted: Vec<f64> = batch.log_reward.iter().map(|log_reward| (log_reward - log_z).exp()).collect();
    assert_close(&[made.iter().sum(), wanted.iter().sum()], &[1.0, 1.0], 1e-5, "probabilities add up");
    let variation: f64 = made.iter().zip(&wanted).map(|(made, wanted)| (made - wanted).abs() / 2.0).sum();
    assert!(variation < 0.03, "total variation {variation}");
    let evaluation = wgflow::evaluate(&mut trainer, 4096).unwrap().evaluation;
    assert!(evaluation.eubo.unwrap() > log_z - 0.01 && evaluation.eubo.unwrap() < log_z + 0.1, "{:?}", evaluation.eubo);
    assert!(evaluation.marginals.unwrap().worst < 0.05);
    let (name, best) = evaluation.best.unwrap().told().unwrap();
    assert!(name == "reward" && best > 1.9, "{best}");
}

#[test]
fn tables_that_forbid_need_a_floor_and_those_that_have_changed_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rewards.csv");
    fs::write(&file, small().replace("AAA,0.1", "AAA,0")).unwrap();
    let target = format!("file = {:?}", file.to_str().unwrap());
    let error = trainer(&target, &[]).err().unwrap();
    assert!(
        error.contains("objective.log_reward_floor is missing") && error.contains("rewards of the table are 0"),
        "{error}"
    );
    let floor = ["objective.log_reward_floor=-10"];
    let mut first = trainer(&target, &floor).unwrap();
    (0..5).for_each(|_| drop(first.step().unwrap()));
    let checkpoint = first.checkpoint();
    trainer(&target, &floor).unwrap().restore(&checkpoint).unwrap();
    fs::write(&file, small().replace("AAA,0.1", "AAA,0.3")).unwrap();
    let error = trainer(&target, &floor).unwrap().restore(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("another model or table"), "{error}");
    fs::write(&file, b"sequence,reward\nAC,1\n\xff\n").unwrap();
    let error = trainer(&target, &floor).err().unwrap();
    assert!(error.contains("target.file") && error.contains("rewards.csv, line 3"), "{error}");
    fs::remove_file(&file).unwrap();
    assert!(trainer(&target, &floor).err().unwrap().contains("rewards.csv: it cannot be read"));
}

#[test]
fn a_run_outlives_its_table() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rewards.csv");
    fs::write(&file, small()).unwrap();
    let target = format!("file = {:?}", file.to_str().unwrap());
    let mut first = trainer(&target, &[]).unwrap();
    (0..5).for_each(|_| drop(first.step().unwrap()));
    let checkpoint = first.checkpoint();
    let kept = checkpoint.files().unwrap();
    assert_eq!(&kept.get("target.file").unwrap()[..], small().as_bytes());
    fs::remove_file(&file).unwrap();
    let mut second = trainer_of(&target, &[], Inputs::Checkpoint(kept.clone())).unwrap();
    second.restore(&checkpoint).unwrap();
    assert_eq!(second.checkpoint(), checkpoint);
    assert_eq!(second.step().unwrap().loss.to_bits(), first.step().unwrap().loss.to_bits());
    // What is there is read, and is another table.
    fs::write(&file, small().replace("AAA,0.1", "AAA,0.3")).unwrap();
    let mut third = trainer_of(&target, &[], Inputs::Checkpoint(kept)).unwrap();
    let error = third.restore(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("another model or table") && error.contains("take it away"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = trainer_of(&target, &[], Inputs::Checkpoint(InputFiles::default())).err().unwrap();
    assert!(error.contains("rewards.csv") && error.contains("put it back"), "{error}");
}

#[test]
fn bad_tables_are_refused_by_key() {
    for (target, words) in [
        ("beta = 2", "target.file is missing"),
        ("file = 'a', text = 'b'", "one of them, not both"),
        ("file = 'a', beta = 0", "target.beta = 0"),
        ("file = 'a', alphabet = 'AA'", "target.alphabet"),
        ("file = 'a', default = -1", "target.default = -1"),
        ("file = 'a', transform = 'exp'", "target.transform"),
        ("text = 'sequence,reward'", "target.text: it has no sequences"),
    ] {
        let error = trainer(target, &[]).err().unwrap();
        assert!(error.contains(words), "{target}: {error}");
    }
}

#[test]
fn the_65_536_rows_of_a_binding_landscape_are_read_and_found() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("landscape.csv");
    fs::write(&file, rows("ACGT", 8)).unwrap();
    let table = Table::read(Path::new(&file), &Options::default()).unwrap();
    assert_eq!((table.count(), table.sites(), table.values(), table.forbids()), (65_536, 8, 4, None));
    let log_reward = expected(&table, &Objects::numbered(8, 4, 0..65_536));
    let sum: f64 = log_reward.iter().map(|log_reward| log_reward.exp()).sum();
    assert_close(&[table.log_z().unwrap()], &[sum.ln()], 1e-12, "log Z");
    assert_eq!(table.test_objects().unwrap().count(), 65_536);
}

#[test]
fn no_text_makes_a_reader_panic() {
    let mut generator = Draw::new(1, 0, Stream::Data).generator(0);
    let base = "sequence,reward\nAC,2\nCA,0.5\nCC,0\nTA,4\n";
    let (mut read, mut refused) = (0, 0);
    for number in 0..20_000 {
        let text = mutated(base, &mut generator);
        let default = [None, Some(0.0), Some(1.0)][number % 3];
        match Table::parse("t", &text, &Options { default, ..Options::default() }) {
            Ok(table) => {
                read += 1;
                assert!(table.log_z().unwrap().is_finite(), "{text}");
                assert!(expected(&table, &Objects::new(table.sites(), vec![0; table.sites()]))[0] < f64::INFINITY);
                table.kernel();
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().chars().count() < 400, "{error}");
            }
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} read, {refused} refused");
}
