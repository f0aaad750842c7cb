//! A picture of what was measured.

use super::Throughput;
use crate::report::{Chart, PictureError};

/// Which part of the product's ceiling iterations reach, a line a task over the batch; on the device where the optimizer can be
/// there, else on the host.
pub fn picture(found: &[Throughput]) -> Result<Vec<u8>, PictureError> {
    let engine = found.first().map_or(String::new(), |found| found.engine.clone());
    let chart = Chart::new(engine, "batch, as a power of two", "flops of an iteration / flops of a product");
    let mut tasks: Vec<&str> = found.iter().map(|found| found.task.as_str()).collect();
    tasks.dedup();
    let lines = tasks.into_iter().fold(chart, |chart, task| {
        let of_task = found.iter().filter(|found| found.task == task);
        chart.line(
            task,
            of_task.map(|found| {
                let training = found.training_on_device.as_ref().unwrap_or(&found.training);
                ((found.batch as f64).log2(), training.share.of_product)
            }),
        )
    });
    lines.png()
}
