//! Objects of bits that stand for points of the plane: samples, log R and data beside each other.

use super::Named;
use crate::data::Coding;
use crate::evaluation::Evaluated;
use crate::process::Objects;
use crate::report::{Content, Figure, Panel, PictureError, panels};
use crate::targets::Target;

/// Points drawn of each set.
const POINTS: usize = 4000;
/// Cells of the heat map along an axis.
const CELLS: usize = 128;
/// Nats below its highest value that the heat map's colours span.
const DEPTH: f64 = 20.0;

/// Samples of the policy, log R over the plane, and data, as far as there are any, over all that the coding can write.
pub fn samples(coding: &Coding, target: &dyn Target, evaluated: &Evaluated) -> Result<Named, PictureError> {
    let limit = coding.limit();
    let range = (-limit, limit);
    let points = |objects: &Objects| {
        let few = objects.values()[..objects.sites() * objects.count().min(POINTS)].to_vec();
        let points = coding.decode(&Objects::new(objects.sites(), few)).into_iter().map(|[x, y]| (x, y)).collect();
        Content::Points { points, x: range, y: range }
    };
    let mut row = vec![Panel::new("GFlowNet", points(&evaluated.gflownet))];
    let mut caption = "Samples of the trained policy".to_string();
    if target.has_reward() {
        row.push(Panel::new("log R", heat(coding, target)));
        caption += &format!(", log R within {DEPTH} nats of its highest value");
    }
    if let Some(data) = &evaluated.data {
        row.push(Panel::new("data", points(data)));
        caption += ", and data";
    }
    let alt = "Samples of the policy in the plane beside log R as a heat map and data";
    Ok(Named { name: "samples".into(), figure: Figure::new(panels(&row)?, caption + ".", alt) })
}

/// log R at the centres of a grid of cells.
fn heat(coding: &Coding, target: &dyn Target) -> Content {
    let limit = coding.limit();
    let centre = |cell: usize| limit * ((2 * cell + 1) as f64 / CELLS as f64 - 1.0);
    let cells = (0..CELLS).flat_map(|y| (0..CELLS).map(move |x| [x, y]));
    let centres: Vec<[f64; 2]> = cells.map(|cell| cell.map(centre)).collect();
    let mut values = vec![0.0; centres.len()];
    target.log_reward(&coding.encode(&centres), &mut values);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let limits = Some((highest - DEPTH, highest));
    Content::HeatMap { columns: CELLS, values, x: (-limit, limit), y: (-limit, limit), limits }
}
