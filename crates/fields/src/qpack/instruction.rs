//! Instructions that come in pieces, on the encoder's and the decoder's stream.

use crate::integer::IntegerError;

/// The beginning of an instruction whose end has not come.
#[derive(Debug, Default)]
pub(super) struct Partial(Vec<u8>);

/// What came of reading an instruction.
pub(super) enum Read<E> {
    /// It is not here as a whole.
    Incomplete,
    /// It breaks a rule.
    Invalid(E),
}

impl<E> From<IntegerError> for Read<E>
where
    E: InvalidInteger,
{
    fn from(error: IntegerError) -> Self {
        match error {
            IntegerError::Truncated => Self::Incomplete,
            IntegerError::TooLarge => Self::Invalid(E::INVALID_INTEGER),
        }
    }
}

/// The error for an integer that is too large.
pub(super) trait InvalidInteger {
    const INVALID_INTEGER: Self;
}

impl Partial {
    /// Reads instructions from what came before and `bytes`, as long as they are complete. `read` takes one
    /// off the front of what it is given and returns the rest; `bytes_max` bounds what is kept.
    ///
    /// # Errors
    /// What `read` found invalid, or `too_long` when an instruction is longer than any may be.
    pub(super) fn read<E>(
        &mut self,
        bytes: &[u8],
        bytes_max: usize,
        too_long: E,
        mut read: impl FnMut(&[u8]) -> Result<usize, Read<E>>,
    ) -> Result<(), E> {
        let joined;
        let mut rest = if self.0.is_empty() {
            bytes
        } else {
            let mut kept = std::mem::take(&mut self.0);
            kept.extend_from_slice(bytes);
            joined = kept;
            &joined[..]
        };
        while !rest.is_empty() {
            match read(rest) {
                Ok(len) => rest = rest.get(len.max(1)..).unwrap_or_default(),
                Err(Read::Invalid(error)) => return Err(error),
                Err(Read::Incomplete) if rest.len() > bytes_max => return Err(too_long),
                Err(Read::Incomplete) => {
                    self.0 = rest.to_vec();
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) fn capacity_bytes(&self) -> usize {
        self.0.capacity()
    }
}
