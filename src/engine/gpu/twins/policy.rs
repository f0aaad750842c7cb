//! Twins of the kernels along trajectories.

use super::{Host, Watch};
use crate::engine::BLOCK;
use crate::engine::gpu::work::Work;
use crate::logs::log_sum_exp;
use crate::process::{Filled, Flow, NO_ACTION, Objects, Order};
use crate::random::{philox, uniform};

/// Shares that a drawn number may fall between with one rounding or another.
const DRAWN: f64 = 1e-5;

pub fn spread(watch: &Watch, _: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let network = watch.network;
    let (parameters, start) = (host.numbers("parameters").to_vec(), host.numbers("start").to_vec());
    let weights = host.numbers_mut("weights");
    let first = watch.layer(0);
    let (width, columns) = (4 * first.outputs as usize, network.process.columns());
    let (from, to) = (4 * first.gradient as usize, 4 * first.forward as usize);
    weights[to..][..columns * width].copy_from_slice(&parameters[from..][..columns * width]);
    weights[4 * first.bias as usize..][..width].copy_from_slice(&start[..width]);
    for layer in &network.layers[1..] {
        let (inputs, outputs) = (4 * layer.inputs as usize, 4 * layer.outputs as usize);
        for output in 0..outputs {
            for input in 0..inputs {
                let parameter = parameters[4 * layer.gradient as usize + output * inputs + input];
                weights[4 * layer.backward as usize + output * inputs + input] = parameter;
                weights[4 * layer.forward as usize + input * outputs + output] = parameter;
            }
            weights[4 * layer.bias as usize + output] = parameters[4 * layer.gradient_bias as usize + output];
        }
    }
    let (rows, last) = (network.head_rows(), 4 * watch.last().outputs as usize);
    let (from, to) = (4 * network.head_gradient as usize, 4 * network.head as usize);
    weights[to..][..rows * last].copy_from_slice(&parameters[from..][..rows * last]);
    for row in 0..rows.next_multiple_of(4) {
        let bias = if row < rows { parameters[4 * (network.head_bias_gradient as usize + row)] } else { 0.0 };
        weights[4 * network.head_bias as usize + row] = bias;
    }
}

pub fn order(watch: &Watch, work: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let filling = watch.network.filling.as_ref().expect("only where sites are filled");
    let actions = host.words_mut("actions");
    for trajectory in work.block as usize * BLOCK..(work.block as usize + work.blocks as usize) * BLOCK {
        let mut order: Vec<u32> = (0..filling.sites as u32).collect();
        if filling.order == Order::Uniform {
            filling.fill_order(|step| words(work, trajectory, step)[0], &mut order);
        }
        let row = &mut actions[trajectory * filling.sites..][..filling.sites];
        row.iter_mut().zip(order).for_each(|(action, site)| *action = site * filling.values as u32);
    }
}

pub fn sites(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let filling = watch.network.filling.as_ref().expect("only where sites are filled");
    for trajectory in work.block as usize * BLOCK..(work.block as usize + groups[0]) * BLOCK {
        for step in 0..filling.sites {
            let site = host.words("actions")[trajectory * filling.sites + step] as usize / filling.values;
            host.words_mut("fills")[trajectory * filling.sites + site] = 256 * step as u32;
        }
    }
}

/// The random numbers of a step.
fn words(work: &Work, trajectory: usize, step: usize) -> [u32; 4] {
    philox([work.iteration, work.first_trajectory + trajectory as u32, step as u32, work.stream], work.key)
}

/// What lib/walk.wgsl writes down of the first `steps` steps of a trajectory: what they change, and what is allowed at each and
/// after them.
fn write_walk(watch: &Watch, actions: &[u32], steps: usize, walk: &mut [u32]) {
    let (process, words) = (&watch.network.process, watch.network.mask_words());
    let most = process.max_steps();
    let (masks, changes) = walk[process.state_words()..].split_at_mut(most * words);
    let mut state = vec![0; process.state_words()];
    let mut ended = false;
    for step in 0..=steps.min(most - 1) {
        let mask = &mut masks[step * words..][..words];
        mask.fill(0);
        let first_backward = process.actions();
        let allows = |index: usize| match index.checked_sub(first_backward) {
            None => process.allows(&state, index as u32),
            Some(backward) => process.allows_backward(&state, backward as u32),
        };
        for index in (0..first_backward + process.backward_actions()).filter(|&index| !ended && allows(index)) {
            mask[index / 32] |= 1 << (index % 32);
        }
        if step < steps {
            note_step(watch, actions[step], &mut state, &mut ended, &mut changes[4 * step..][..4]);
        }
    }
    walk[..state.len()].copy_from_slice(&state);
}

fn note_step(watch: &Watch, action: u32, state: &mut [u32], ended: &mut bool, changes: &mut [u32]) {
    changes.fill(0);
    if action == NO_ACTION {
        return;
    }
    let step = watch.network.process.advance(state, action);
    *ended = step.ends;
    for (change, (column, amount)) in changes.chunks_exact_mut(2).zip(step.changes.iter()) {
        change.copy_from_slice(&[column as u32, (amount as f32).to_bits()]);
    }
}

pub fn walk(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (size, steps) = (watch.network.walk_size(), watch.network.process.max_steps());
    let actions = host.words("actions").to_vec();
    let walks = host.words_mut("walks");
    for trajectory in work.block as usize * BLOCK..(work.block as usize + groups[0]) * BLOCK {
        let walk = &mut walks[trajectory * size..][..size];
        write_walk(watch, &actions[trajectory * steps..], work.sampled_from as usize, walk);
    }
}

/// Adds what a step does to the first layer's pre-activation.
fn after_step(watch: &Watch, host: &Host, trajectory: usize, step: usize, action: u32, z: &mut [f64]) {
    let (network, weights) = (watch.network, host.numbers("weights"));
    let first = 4 * watch.layer(0).forward as usize;
    let mut add = |column: usize, amount: f64| {
        let row = &weights[first + column * z.len()..];
        z.iter_mut().zip(row).for_each(|(z, weight)| *z += amount * weight);
    };
    if let Some(filling) = &network.filling {
        let (column, amount) = filling.change(action as usize);
        return add(column, amount);
    }
    let masks = network.process.max_steps() * network.mask_words();
    let changes = trajectory * network.walk_size() + network.process.state_words() + masks + 4 * step;
    for change in host.words("walks")[changes..][..4].chunks_exact(2) {
        add(change[0] as usize, f64::from(f32::from_bits(change[1])));
    }
}

pub fn start(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let width = 4 * watch.layer(0).outputs as usize;
    let most = watch.network.process.max_steps();
    for block in 0..groups[1] {
        for row in 0..BLOCK {
            let trajectory = watch.trajectory(work, block, row);
            let mut z = host.numbers("weights")[4 * watch.layer(0).bias as usize..][..width].to_vec();
            let mut step = 0;
            for chain in 0..work.chains as usize {
                while step < work.first_step as usize + chain * work.group_steps as usize {
                    // A process that is not site filling has its changes written down.
                    let action = host.words.get("actions").map_or(0, |actions| actions[trajectory * most + step]);
                    after_step(watch, host, trajectory, step, action, &mut z);
                    step += 1;
                }
                let at = ((block * work.chains as usize + chain) * BLOCK + row) * width;
                host.numbers_mut("state")[at..][..width].copy_from_slice(&z);
            }
        }
    }
}

/// Keeps z, or h = f(z) and f'(z).
fn keep(watch: &Watch, host: &mut Host, at: usize, z: &[f64]) {
    if watch.network.keeps_z() {
        host.numbers_mut("activations")[at..][..z.len()].copy_from_slice(z);
        return;
    }
    for (unit, &z) in z.iter().enumerate() {
        let (value, slope) = watch.activation.evaluate(z);
        host.numbers_mut("activations")[at + unit] = value;
        host.numbers_mut("deltas")[at + unit] = slope;
    }
}

pub fn activate_signals(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let first = work.first_step as usize;
    for (block, step) in (0..groups[2]).flat_map(|block| (first..first + groups[1]).map(move |step| (block, step))) {
        let at = watch.units(work, watch.layer(0), block, step, 0);
        for kept in &mut host.numbers_mut("activations")[at..][..4 * watch.network.step as usize] {
            *kept = watch.activation.evaluate(*kept).0;
        }
    }
}

/// From the first layer, which is there, to the last one.
fn hidden_layers(watch: &Watch, work: &Work, host: &mut Host, block: usize, step: usize, row: usize) {
    for pair in watch.network.layers.windows(2) {
        let [before, layer] = pair else { unreachable!("windows of two") };
        let (inputs, outputs) = (4 * layer.inputs as usize, 4 * layer.outputs as usize);
        let weights = host.numbers("weights");
        let h = watch.signals(work, host, watch.units(work, before, block, step, row), inputs);
        let mut z = weights[4 * layer.bias as usize..][..outputs].to_vec();
        for (input, h) in h.iter().enumerate() {
            let row = &weights[4 * layer.forward as usize + input * outputs..];
            z.iter_mut().zip(row).for_each(|(z, weight)| *z += h * weight);
        }
        keep(watch, host, watch.units(work, layer, block, step, row), &z);
    }
}

/// One output of the head, where h_last begins at `at`.
fn head_output(watch: &Watch, work: &Work, host: &Host, at: usize, output: usize) -> f64 {
    let (weights, width) = (host.numbers("weights"), 4 * watch.last().outputs as usize);
    let row = &weights[4 * watch.network.head as usize + output * width..][..width];
    let products = watch.signals(work, host, at, width).into_iter().zip(row).map(|(h, weight)| h * weight);
    products.sum::<f64>() + weights[4 * watch.network.head_bias as usize + output]
}

pub fn rollout(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, found: &Host) {
    let blocks = work.blocks as usize;
    let width = 4 * watch.layer(0).outputs as usize;
    for block in 0..blocks {
        for (chain, row) in (0..groups[1]).flat_map(|chain| (0..BLOCK).map(move |row| (chain, row))) {
            let begin = work.first_step as usize + chain * work.group_steps as usize;
            let end = (begin + work.group_steps as usize).min(work.last_step as usize);
            let trajectory = watch.trajectory(work, block, row);
            let state = ((block * work.chains as usize + chain) * BLOCK + row) * width;
            for step in begin..end {
                let mut z = host.numbers("state")[state..][..width].to_vec();
                if step > begin {
                    let before = host.words("actions")[trajectory * watch.network.process.max_steps() + step - 1];
                    after_step(watch, host, trajectory, step - 1, before, &mut z);
                }
                host.numbers_mut("state")[state..][..width].copy_from_slice(&z);
                keep(watch, host, watch.units(work, watch.layer(0), block, step, row), &z);
                hidden_layers(watch, work, host, block, step, row);
                choose(watch, work, host, found, [block, step, row]);
            }
        }
    }
}

/// The step's log-probabilities, and its choice.
fn choose(watch: &Watch, work: &Work, host: &mut Host, found: &Host, [block, step, row]: [usize; 3]) {
    let network = watch.network;
    let most = network.process.max_steps();
    let trajectory = watch.trajectory(work, block, row);
    let index = trajectory * most + step;
    let (sampled, given) = (step >= work.sampled_from as usize, host.words("actions")[index]);
    // The outputs that the state uses, each with the action that it stands for, and whether it is allowed.
    let first = if network.filling.is_some() { given as usize / network.outputs() * network.outputs() } else { 0 };
    let mask = trajectory * network.walk_size() + network.process.state_words() + step * network.mask_words();
    let allows =
        |output: usize| network.filling.is_some() || host.words("walks")[mask + output / 32] >> (output % 32) & 1 == 1;
    let choices = if network.filling.is_some() { network.outputs() } else { network.process.actions() };
    let allowed: Vec<usize> = (0..choices).filter(|&output| allows(output)).collect();
    let at = watch.units(work, watch.last(), block, step, row);
    let mut logits: Vec<f64> =
        allowed.iter().map(|output| head_output(watch, work, host, at, first + output)).collect();
    if let Some(guide) = network.process.guide() {
        let mut filled = vec![0; network.process.sites()];
        for &action in &host.words("actions")[trajectory * most..][..step] {
            filled[action as usize / network.outputs()] = action % network.outputs() as u32 + 1;
        }
        let mut increments = vec![0.0; network.outputs()];
        guide.increments(Filled::new(&filled), first / network.outputs(), &mut increments);
        logits.iter_mut().zip(increments).for_each(|(logit, increment)| *logit += increment);
    }
    let normaliser = log_sum_exp(&logits);
    let outputs = watch.outputs(work, block, step, row);
    host.numbers_mut("probabilities")[outputs..][..network.outputs()].fill(0.0);
    let lists = network.lists();
    let told = trajectory * lists * most + step;
    if allowed.is_empty() {
        (0..lists).step_by(2).for_each(|list| host.numbers_mut("log_probs")[told + list * most] = 0.0);
        note_backward(watch, host, trajectory, step, 0.0);
        if sampled {
            host.words_mut("actions")[index] = NO_ACTION;
            write_changes(watch, host, trajectory, step);
        }
        return;
    }
    let probabilities: Vec<f64> = logits.iter().map(|logit| (logit - normaliser).exp()).collect();
    for (output, p) in allowed.iter().zip(&probabilities) {
        host.numbers_mut("probabilities")[outputs + output] = *p;
    }
    let taken = if sampled { found.words("actions")[index] as usize } else { given as usize };
    let choice = allowed.iter().position(|output| first + output == taken).expect("an allowed one");
    host.numbers_mut("log_probs")[told] = logits[choice] - normaliser;
    say_more(watch, work, host, [block, step, row], mask);
    if sampled {
        let words = words(work, trajectory, step);
        let scale = if uniform(words[2]) < f64::from(work.epsilon) { 0.0 } else { f64::from(work.sharpness) };
        let likeliest = probabilities.iter().copied().fold(0.0, f64::max);
        // What the policy all but never does is not tried either.
        let weigh = |&p: &f64| if p < 1e-30 * likeliest { 0.0 } else { (p / likeliest).powf(scale) };
        let weights: Vec<f64> = probabilities.iter().map(weigh).collect();
        let total: f64 = weights.iter().sum();
        let (below, share) = (weights[..choice].iter().sum::<f64>() / total, weights[choice] / total);
        let drawn = uniform(words[1]);
        assert!(drawn >= below - DRAWN && drawn <= below + share + DRAWN, "{drawn} is not {choice}");
        host.words_mut("actions")[index] = taken as u32;
        if network.filling.is_none() {
            write_changes(watch, host, trajectory, step);
        }
    }
}

/// What the state of `step` knows of taking back the step before it, where the policy says P_B.
fn note_backward(watch: &Watch, host: &mut Host, trajectory: usize, step: usize, log_backward: f64) {
    let most = watch.network.process.max_steps();
    if step > 0 && watch.network.process.backward_actions() > 0 {
        host.numbers_mut("log_probs")[(trajectory * watch.network.lists() + 1) * most + step - 1] = log_backward;
    }
}

/// P_B of the step before, and log F, as far as the policy says them; `mask` is where what the state allows is written down.
fn say_more(watch: &Watch, work: &Work, host: &mut Host, [block, step, row]: [usize; 3], mask: usize) {
    let process = &watch.network.process;
    let (most, actions, ways_back) = (process.max_steps(), process.actions(), process.backward_actions());
    let trajectory = watch.trajectory(work, block, row);
    let told = trajectory * watch.network.lists() * most + step;
    let at = watch.units(work, watch.last(), block, step, row);
    let outputs = watch.outputs(work, block, step, row);
    let before = (step > work.scored_from as usize).then(|| host.words("actions")[trajectory * most + step - 1]);
    if let Some(taken) = before.and_then(|action| process.backward_of(action)) {
        let bit = |index: usize| host.words("walks")[mask + index / 32] >> (index % 32) & 1 == 1;
        let allowed: Vec<usize> = (0..ways_back).filter(|&backward| bit(actions + backward)).collect();
        let logit = |host: &Host, backward: usize| head_output(watch, work, host, at, actions + backward);
        let logits: Vec<f64> = allowed.iter().map(|&backward| logit(host, backward)).collect();
        let normaliser = log_sum_exp(&logits);
        for (backward, logit) in allowed.iter().zip(&logits) {
            host.numbers_mut("probabilities")[outputs + actions + backward] = (logit - normaliser).exp();
        }
        let log_backward = logit(host, taken as usize) - normaliser;
        note_backward(watch, host, trajectory, step, log_backward);
    } else {
        note_backward(watch, host, trajectory, step, 0.0);
    }
    if let (Flow::Stop, Some(stop)) = (process.flow(), process.stop()) {
        let p = host.numbers("probabilities")[outputs + stop as usize];
        host.numbers_mut("log_probs")[told + 2 * most] = p.ln();
    }
    if process.flow() == Flow::Output {
        let flow = head_output(watch, work, host, at, actions + ways_back);
        host.numbers_mut("probabilities")[outputs + actions + ways_back] = flow;
        host.numbers_mut("log_probs")[told + 2 * most] = flow;
    }
}

/// Writes down what the steps of a trajectory up to `step` change and allow.
fn write_changes(watch: &Watch, host: &mut Host, trajectory: usize, step: usize) {
    let (size, most) = (watch.network.walk_size(), watch.network.process.max_steps());
    let actions = host.words("actions")[trajectory * most..][..most].to_vec();
    write_walk(watch, &actions, step + 1, &mut host.words_mut("walks")[trajectory * size..][..size]);
}

pub fn finish(watch: &Watch, work: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let process = &watch.network.process;
    let (sites, most) = (process.sites(), process.max_steps());
    for trajectory in work.block as usize * BLOCK..(work.block as usize + work.blocks as usize) * BLOCK {
        let row = trajectory * watch.network.lists() * most;
        let scored = &host.numbers("log_probs")[row..][..most][work.scored_from as usize..];
        host.numbers_mut("log_forward")[trajectory] = scored.iter().sum();
        match &watch.network.filling {
            Some(filling) => {
                let actions = host.words("actions")[trajectory * most..][..most].to_vec();
                for (step, action) in actions.into_iter().enumerate() {
                    let (site, value) = (action as usize / filling.values, action as usize % filling.values);
                    host.words_mut("fills")[trajectory * sites + site] = (256 * step + value) as u32;
                }
            }
            None => {
                let walk = trajectory * watch.network.walk_size();
                let mut values = vec![0; sites];
                process.object(&host.words("walks")[walk..][..process.state_words()], &mut values);
                let fills = &mut host.words_mut("fills")[trajectory * sites..];
                fills.iter_mut().zip(values).for_each(|(fill, value)| *fill = value.into());
            }
        }
    }
}

pub fn reward(watch: &Watch, work: &Work, groups: [usize; 3], host: &mut Host, _: &Host) {
    let (first, count, sites) = (work.block as usize * BLOCK, groups[0] * BLOCK, watch.target.sites());
    let fills = &host.words("fills")[first * sites..][..count * sites];
    let objects = Objects::new(sites, fills.iter().map(|fill| (fill & 255) as u8).collect());
    let mut log_reward = vec![0.0; count];
    watch.target.log_reward(&objects, &mut log_reward);
    let scale = watch.target.kernel().expect("it was compiled").scale;
    let said = log_reward.into_iter().map(|log_reward| log_reward / scale);
    host.numbers_mut("log_rewards")[first..].iter_mut().zip(said).for_each(|(number, said)| *number = said);
}

pub fn evaluate(watch: &Watch, work: &Work, _: [usize; 3], host: &mut Host, _: &Host) {
    let filling = watch.network.filling.as_ref().expect("objects have sites");
    let width = 4 * watch.layer(0).outputs as usize;
    for block in 0..work.blocks as usize {
        for row in 0..BLOCK {
            let object = watch.trajectory(work, block, row);
            let mut z = host.numbers("weights")[4 * watch.layer(0).bias as usize..][..width].to_vec();
            for site in 0..filling.sites {
                let value = host.words("fills")[object * filling.sites + site] & 255;
                after_step(watch, host, object, 0, (site * filling.values) as u32 + value, &mut z);
            }
            keep(watch, host, watch.units(work, watch.layer(0), block, 0, row), &z);
            hidden_layers(watch, work, host, block, 0, row);
            let at = watch.units(work, watch.last(), block, 0, row);
            host.numbers_mut("log_rewards")[object] = head_output(watch, work, host, at, 0);
        }
    }
}
