//! A collection, shown to all who can judge it.

use super::{
    collection::{Capture, Collection},
    configuration::{self, CUSTOMERS, NETWORK, RETURN_TRAFFIC},
};
use crate::{
    agreement::{Census, Disagreement, Trial, Witnesses},
    generate::{Scenario, Step, scenario::load},
};

/// A configuration is loaded into the kernel for so many captures at once.
const CAPTURES: usize = 128;
/// And for so many frames, or one capture that has more.
const FRAMES: usize = 8_192;

/// The sides on which every frame arrives, in this order: what a customer opens
/// is then there to be answered.
const SIDES: [&str; 2] = [CUSTOMERS, NETWORK];

/// Shows every frame on both sides under three configurations.
///
/// # Errors
///
/// The first disagreement, with the file and the number of the packet.
pub fn replay(collection: &Collection, witnesses: Witnesses) -> Result<Census, String> {
    let mut census = Census::default();
    for batch in batches(&collection.captures) {
        let mut ends = configuration::Census::default();
        for (_, frame) in batch.iter().flat_map(|capture| &capture.frames) {
            ends.add(frame);
        }
        for turn in 0..RETURN_TRAFFIC.len() {
            let text = ends.configuration(turn);
            let scenario = Scenario {
                config: load(&text),
                text,
                steps: steps(batch),
            };
            census.configurations += 1;
            let mut trial = Trial::new(&scenario.config, witnesses);
            let outcome = trial.run(&scenario, &mut census);
            outcome.map_err(|found| words(batch, &scenario, &found))?;
        }
    }
    Ok(census)
}

/// The captures in parts that are neither too many nor too long.
fn batches(captures: &[Capture]) -> Vec<&[Capture]> {
    let mut batches = Vec::new();
    let mut rest = captures;
    while !rest.is_empty() {
        let mut frames = 0;
        let fitting = rest.iter().take(CAPTURES).take_while(|capture| {
            frames += capture.frames.len();
            frames <= FRAMES
        });
        let length = fitting.count().max(1);
        let (batch, others) = rest.split_at(length);
        batches.push(batch);
        rest = others;
    }
    batches
}

fn steps(batch: &[Capture]) -> Vec<Step> {
    let frames = batch.iter().flat_map(|capture| &capture.frames);
    let arrivals = frames.flat_map(|frame| SIDES.map(|side| (frame, side)));
    arrivals
        .map(|((shape, bytes), side)| Step::Frame {
            interface: side.to_owned(),
            bytes: bytes.clone(),
            first: None,
            shapes: vec![shape],
        })
        .collect()
}

fn words(batch: &[Capture], scenario: &Scenario, found: &Disagreement) -> String {
    let mut frame = found.step / SIDES.len();
    for capture in batch {
        if frame < capture.frames.len() {
            return format!(
                "{}, frame {}:\n{}under\n{}",
                capture.name,
                frame + 1,
                found.words,
                scenario.text
            );
        }
        frame -= capture.frames.len();
    }
    found.to_string()
}
