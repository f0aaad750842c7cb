//! Matrix products of one thread, by the kernels of the crate `gemm`, in the pieces that suit them.

use std::ops::Range;

use gemm_common::Parallelism;

use super::Real;

/// m, n, k; the result [m, n] with its strides of columns and rows, and whether to add to it; the factors with theirs;
/// what multiplies the result as it is and the product; three conjugations that only complex numbers have; threads.
pub type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

/// A row-major matrix seen as it is or transposed.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// The first `rows * columns` of `values`, row-major.
    pub fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// `rows` pieces of `columns` numbers each, one every `stride` from the first of `values` on.
    pub fn strided(values: &'a [T], rows: usize, columns: usize, stride: usize) -> Self {
        let reach = rows.checked_sub(1).map_or(0, |last| last * stride + columns);
        Self { values: &values[..reach], rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// Some of its rows.
    fn rows(self, rows: Range<usize>) -> Self {
        Self { values: &self.values[rows.start * self.row_stride..], rows: rows.len(), ..self }
    }

    /// Some of its columns.
    fn columns(self, columns: Range<usize>) -> Self {
        self.transposed().rows(columns).transposed()
    }

    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// The transpose of a row-major matrix of so many rows, row-major as well.
pub fn transpose<T: Copy + Default>(matrix: &[T], rows: usize) -> Vec<T> {
    // Squares that fit a few cache lines each way.
    const SIDE: usize = 16;
    let columns = matrix.len() / rows.max(1);
    let mut across = vec![T::default(); matrix.len()];
    for top in (0..rows).step_by(SIDE) {
        for left in (0..columns).step_by(SIDE) {
            for column in left..columns.min(left + SIDE) {
                for row in top..rows.min(top + SIDE) {
                    across[column * rows + row] = matrix[row * columns + column];
                }
            }
        }
    }
    across
}

/// Rows of a product that uses a weight where it lies: for more of them the kernels' crate copies the weight into an order of its
/// own first, and for few more that costs more than it brings. (A size of the kernels for AVX-512, as is the last one.)
const FEW: usize = 48;
/// Widest weight of which that is true: rows of a wider one are too far apart to be read as fast.
const NEAR: usize = 512;
/// Columns of a product whose first factor is transposed: for more of them that is copied.
const COLUMNS: usize = 128;

/// `out = keep * out + a * b` on one thread, `out` row-major [a.rows, b.columns], `keep` being 0 or 1.
pub fn multiply<T: Real>(out: &mut [T], keep: bool, a: Matrix<T>, b: Matrix<T>) {
    assert_eq!(a.columns, b.rows, "inner sizes of a product");
    let stride = b.columns;
    let out = &mut out[..a.rows * stride];
    if b.column_stride == 1 && a.rows > FEW && a.rows <= 2 * FEW && stride <= NEAR {
        for start in (0..a.rows).step_by(FEW) {
            let rows = start..a.rows.min(start + FEW);
            multiply_piece(&mut out[rows.start * stride..], stride, keep, a.rows(rows), b);
        }
    } else if a.row_stride == 1 {
        for start in (0..stride).step_by(COLUMNS) {
            let columns = start..stride.min(start + COLUMNS);
            multiply_piece(&mut out[start..], stride, keep, a, b.columns(columns));
        }
    } else {
        multiply_piece(out, stride, keep, a, b);
    }
}

/// The same of an `out` whose rows lie `stride` apart.
fn multiply_piece<T: Real>(out: &mut [T], stride: usize, keep: bool, a: Matrix<T>, b: Matrix<T>) {
    let reach = a.rows.checked_sub(1).map_or(0, |last| last * stride + b.columns);
    let out = &mut out[..reach];
    // The kernels prefer a result whose columns lie in one piece: what they form is the transposed product, unless that is
    // a single row.
    let (a, b, [row_stride, column_stride]) = match b.columns > 1 {
        true => (b.transposed(), a.transposed(), [1, stride]),
        false => (a, b, [stride, 1]),
    };
    let one = T::from_f64(1.0);
    // SAFETY: the views above cover exactly the elements that their sizes and strides reach, and `out` is borrowed
    // mutably, so nothing overlaps it.
    unsafe {
        T::gemm()(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            column_stride as isize,
            row_stride as isize,
            keep,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            one,
            one,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let matrix: Vec<u32> = (0..21 * 35).collect();
        let across = transpose(&matrix, 21);
        assert!((0..21 * 35).all(|at| across[at] == matrix[at % 21 * 35 + at / 21]));
        assert_eq!(transpose(&across, 35), matrix);
    }

    /// A product as a single call of the crate whose kernels these are: shapes with one row or column among them.
    fn product_by_gemm<T: Real>(out: &mut [T], keep: bool, a: Matrix<T>, b: Matrix<T>) {
        let (one, columns) = (T::from_f64(1.0), b.columns as isize);
        assert_eq!(out.len(), a.rows * b.columns);
        let strides = [a.column_stride, a.row_stride, b.column_stride, b.row_stride].map(|stride| stride as isize);
        let (x, y, none) = (a.values.as_ptr(), b.values.as_ptr(), gemm::Parallelism::None);
        let [ac, ar, bc, br] = strides;
        // SAFETY: as in `multiply`.
        unsafe {
            let out = out.as_mut_ptr();
            let (m, n, k) = (a.rows, b.columns, a.columns);
            gemm::gemm(m, n, k, out, 1, columns, keep, x, ac, ar, y, bc, br, one, one, false, false, false, none);
        }
    }

    fn products_have_the_bits_of_gemm<T: Real>() {
        let numbers = |count: usize, shift: f64| -> Vec<T> {
            (0..count).map(|i| T::from_f64((i as f64 * 0.7 + shift).sin())).collect()
        };
        let mut compared = 0;
        for [m, n, k] in [
            [1, 1, 1],
            [5, 1, 7],
            [1, 6, 9],
            [64, 1, 256],
            [1, 256, 64],
            [3, 2, 1],
            [64, 128, 100],
            [33, 17, 65],
            [90, 200, 70],
        ] {
            let (a, b, start) = (numbers(m * k, 0.1), numbers(k * n, 0.2), numbers(m * n, 0.3));
            let views_of_a = [Matrix::new(&a, m, k), Matrix::new(&a, k, m).transposed()];
            let views_of_b = [Matrix::new(&b, k, n), Matrix::new(&b, n, k).transposed()];
            for (a, b, keep) in
                views_of_a.iter().flat_map(|a| views_of_b.iter().flat_map(move |b| [(a, b, true), (a, b, false)]))
            {
                let (mut ours, mut theirs) = (start.clone(), start.clone());
                multiply(&mut ours, keep, *a, *b);
                product_by_gemm(&mut theirs, keep, *a, *b);
                assert!(ours.iter().all(|value| value.to_f64().is_finite()));
                assert!(ours == theirs, "{} {m} {n} {k} {keep}", T::NAME);
                compared += 1;
            }
        }
        assert_eq!(compared, 72);
    }

    #[test]
    fn products_have_the_bits_of_gemm_in_f32() {
        products_have_the_bits_of_gemm::<f32>();
    }

    #[test]
    fn products_have_the_bits_of_gemm_in_f64() {
        products_have_the_bits_of_gemm::<f64>();
    }

    #[test]
    fn products_of_transposed_views() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, -1.0, 2.0, 1.0, 1.0];
        let mut out = [10.0; 4];
        multiply(&mut out, true, Matrix::new(&a, 2, 3), Matrix::new(&b, 2, 3).transposed());
        assert_eq!(out, [10.0 - 2.0, 10.0 + 7.0, 10.0 - 2.0, 10.0 + 19.0]);
    }
}
