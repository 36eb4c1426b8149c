//! Values as bytes: one encoding for messages, records and the heads of files.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Appends `value`'s encoding.
pub fn append_value<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    postcard::serialize_with_flavor(value, Appending(bytes)).expect("a vector takes every byte");
}

/// Writes at the end of a vector, runs of bytes in one piece.
struct Appending<'v>(&'v mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
