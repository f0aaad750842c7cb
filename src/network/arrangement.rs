//! Where an engine keeps the parameters of a layout.

/// The order in which an engine holds parameters and gradients: the place of each parameter of a
/// [`Layout`](super::Layout) in the engine's list, whose other places are padding and always 0.
///
/// What goes over such lists number by number, an optimizer or a norm, need not know the order; so nothing is brought into
/// another one between a gradient and the next rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrangement {
    places: Vec<u32>,
    length: usize,
}

impl Arrangement {
    /// # Panics
    /// If two parameters have the same place, or one is beyond `length`.
    pub fn new(places: Vec<u32>, length: usize) -> Self {
        let mut taken = vec![false; length];
        for &place in &places {
            let before = std::mem::replace(&mut taken[place as usize], true);
            assert!(!before, "two parameters at place {place}");
        }
        Self { places, length }
    }

    /// Numbers of the engine's list.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Parameters of the layout.
    pub fn parameters(&self) -> usize {
        self.places.len()
    }

    /// That of two lists, one after the other, and of the parameters of two layouts.
    pub(crate) fn followed_by(&self, other: &Self) -> Self {
        let behind = self.length as u32;
        let places = self.places.iter().copied().chain(other.places.iter().map(|place| place + behind)).collect();
        Self::new(places, self.length + other.length)
    }

    /// The place of each parameter.
    pub(crate) fn places(&self) -> &[u32] {
        &self.places
    }

    /// From the order of the layout to the engine's.
    ///
    /// # Panics
    /// If there is not a number a parameter.
    pub fn arrange<T: Copy + Default>(&self, parameters: &[T]) -> Vec<T> {
        assert_eq!(parameters.len(), self.places.len(), "a number for each parameter");
        let mut arranged = vec![T::default(); self.length];
        parameters.iter().zip(&self.places).for_each(|(&value, &place)| arranged[place as usize] = value);
        arranged
    }

    /// From the engine's order to that of the layout.
    ///
    /// # Panics
    /// If the list is not as long as the engine's.
    pub fn restore<T: Copy>(&self, arranged: &[T]) -> Vec<T> {
        assert_eq!(arranged.len(), self.length, "a list in the engine's order");
        self.places.iter().map(|&place| arranged[place as usize]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_arranged_is_restored_and_padding_is_zero() {
        let arrangement = Arrangement::new(vec![4, 0, 2], 6);
        assert_eq!((arrangement.length(), arrangement.parameters()), (6, 3));
        let arranged = arrangement.arrange(&[1.5, 2.5, 3.5]);
        assert_eq!(arranged, [2.5, 0.0, 3.5, 0.0, 1.5, 0.0]);
        assert_eq!(arrangement.restore(&arranged), [1.5, 2.5, 3.5]);
        let both = arrangement.followed_by(&Arrangement::new(vec![1, 0], 2));
        assert_eq!(both.arrange(&[1.5, 2.5, 3.5, 4.5, 5.5]), [2.5, 0.0, 3.5, 0.0, 1.5, 0.0, 5.5, 4.5]);
        assert!(std::panic::catch_unwind(|| Arrangement::new(vec![1, 1], 2)).is_err());
    }
}
