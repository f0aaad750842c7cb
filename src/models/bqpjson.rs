//! bqpjson: E = scale * (sum of linear_terms and quadratic_terms + offset), over spins or over 0 and 1 (`variable_domain`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::dimod::names;
use super::error::Fault;
use super::graph::FactorGraph;
use super::pairwise::{Domain, Pairwise, Repeated};
use super::text::shown;

#[derive(Deserialize)]
struct Json {
    variable_ids: Vec<i64>,
    variable_domain: String,
    scale: f64,
    offset: f64,
    linear_terms: Vec<Linear>,
    quadratic_terms: Vec<Quadratic>,
}

#[derive(Deserialize)]
struct Linear {
    id: i64,
    coeff: f64,
}

#[derive(Deserialize)]
struct Quadratic {
    id_head: i64,
    id_tail: i64,
    coeff: f64,
}

pub(super) fn read(text: &str) -> Result<FactorGraph, Fault> {
    let json: Json = serde_json::from_str(text)?;
    let variables = json.variable_ids.len();
    if variables == 0 {
        return Err(Fault::new("variable_ids is empty"));
    }
    let domain = match json.variable_domain.as_str() {
        "spin" => Domain::Spin,
        "boolean" => Domain::Binary,
        other => {
            let message = format!("variable_domain is {}: it must be \"spin\" or \"boolean\"", shown(other));
            return Err(Fault::new(message));
        }
    };
    let places: BTreeMap<i64, usize> = json.variable_ids.iter().copied().zip(0..).collect();
    let place = |list: &str, index: usize, id: i64| {
        let message = || format!("{list} {index} has the variable {id}, which is not in variable_ids");
        places.get(&id).copied().ok_or_else(|| Fault::new(message()))
    };
    let mut model = Pairwise::new(domain, Repeated::Refused, -1.0);
    model.add_offset(json.scale * json.offset);
    for (index, &Linear { id, coeff }) in json.linear_terms.iter().enumerate() {
        model.add_linear(0, place("linear term", index, id)?, json.scale * coeff)?;
    }
    for (index, &Quadratic { id_head, id_tail, coeff }) in json.quadratic_terms.iter().enumerate() {
        let [head, tail] = [id_head, id_tail].map(|id| place("quadratic term", index, id));
        model.add_pair(0, head?, tail?, json.scale * coeff)?;
    }
    let labels: Vec<Value> = json.variable_ids.iter().map(|&id| id.into()).collect();
    model.graph(variables, names(&labels)?)
}
