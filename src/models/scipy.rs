//! Spin glasses as sparse matrices of scipy, written by `scipy.sparse.save_npz`: the upper triangle of J in compressed rows (CSR),
//! E = -sum J_ij s_i s_j, so that a positive J favours equal spins. Spins are counted from 0.

use super::error::Fault;
use super::graph::FactorGraph;
use super::labels::Variables;
use super::npz::Arrays;
use super::pairwise::{Domain, Pairwise, Repeated};
use super::text::{MOST_VARIABLES, shown};

/// Couplings that a file may have: with four entries of a table for each, as many as a model can hold.
const MOST_COUPLINGS: usize = super::MOST_ENTRIES / 4;

pub(super) fn read(bytes: &[u8]) -> Result<FactorGraph, Fault> {
    let arrays = Arrays::new(bytes)?;
    let format = arrays.array("format")?.text()?;
    if format != "csr" {
        let message = format!("the matrix is in the format {}: it must be csr, as `.tocsr()` makes it", shown(&format));
        return Err(Fault::new(message));
    }
    let spins = spins(&arrays)?;
    let ends = row_ends(&arrays, spins)?;
    let count = *ends.last().expect("one for each spin");
    let (mut indices, mut data) = (arrays.array("indices")?, arrays.array("data")?);
    indices.check_count(count, "the last entry of `indptr`")?;
    data.check_count(count, "as `indices`")?;
    let mut model = Pairwise::new(Domain::Spin, Repeated::Refused, 1.0);
    // The last row that each column was found in, counted from 1.
    let mut last = vec![0; spins];
    let mut taken = 0;
    for (row, end) in ends.into_iter().enumerate() {
        for _ in taken..end {
            let column = indices.whole("a column", 0..=spins - 1)?;
            let weight = data.number("a coupling")?;
            if column <= row {
                let place = if column == row { "on the diagonal" } else { "below the diagonal" };
                return Err(Fault::new(format!(
                    "row {row} has an entry in column {column}, {place}: each pair is there once, in the upper triangle, \
                     as `scipy.sparse.triu(J, 1)` makes it"
                )));
            }
            if std::mem::replace(&mut last[column], row + 1) == row + 1 {
                let message =
                    format!("row {row} has two entries in column {column}: `J.sum_duplicates()` makes them one");
                return Err(Fault::new(message));
            }
            model.add_pair(0, row, column, weight)?;
        }
        taken = end;
    }
    indices.end()?;
    data.end()?;
    model.graph(spins, Variables::From(0))
}

/// The number of spins, of rows and of columns.
fn spins(arrays: &Arrays) -> Result<usize, Fault> {
    let mut shape = arrays.array("shape")?;
    shape.check_count(2, "numbers of rows and of columns")?;
    let mut next = |what| shape.whole(what, 1..=MOST_VARIABLES);
    let (rows, columns) = (next("the number of rows")?, next("the number of columns")?);
    shape.end()?;
    if rows != columns {
        return Err(Fault::new(format!("the matrix has {rows} rows and {columns} columns: it must be square")));
    }
    Ok(rows)
}

/// Where each row ends in `indices` and `data`.
fn row_ends(arrays: &Arrays, rows: usize) -> Result<Vec<usize>, Fault> {
    let mut indptr = arrays.array("indptr")?;
    indptr.check_count(rows + 1, "one more than rows")?;
    indptr.whole("where the first row begins", 0..=0)?;
    let mut ends = Vec::new();
    let mut before = 0;
    for row in 0..rows {
        // The upper triangle has no more, which also keeps the sum within what can be held.
        let most = (before + rows - 1 - row).min(MOST_COUPLINGS);
        before = indptr.whole("where a row ends", before..=most)?;
        ends.push(before);
    }
    indptr.end()?;
    Ok(ends)
}
