//! What it costs a replica to work: CPU time and the time that bytes need to leave.
//!
//! A replica's CPU serves one thing at a time, in the order in which things came: taking in a message, a request or a
//! timer costs [`Costs::cpu_ns_per_message`] and its bytes; sending costs the bytes once for encoding, however many
//! receivers there are, and for each receiver a message and its bytes again, since each receiver has a connection and an
//! encryption of its own. What came while the CPU was busy is taken in together and flushed once, as the real driver does.
//! What is sent leaves through the network interface, one byte after the other.

/// What work costs. All zero is a replica that works in no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// CPU time per message taken in or sent to one receiver, in nanoseconds.
    pub cpu_ns_per_message: u64,
    /// CPU time per byte taken in, encoded, or sent to one receiver, in picoseconds.
    pub cpu_ps_per_byte: u64,
    /// How fast bytes leave, in bits per second; 0 is at once.
    pub nic_bits_per_s: u64,
}

impl Costs {
    /// Work takes no time.
    pub const NONE: Self = Self { cpu_ns_per_message: 0, cpu_ps_per_byte: 0, nic_bits_per_s: 0 };

    /// Does work take no time?
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// CPU time for so many messages and bytes, in nanoseconds.
    pub(crate) const fn cpu_ns(&self, messages: u64, bytes: u64) -> u64 {
        messages * self.cpu_ns_per_message + bytes * self.cpu_ps_per_byte / 1_000
    }

    /// How long so many bytes take to leave, in nanoseconds.
    pub(crate) const fn nic_ns(&self, bytes: u64) -> u64 {
        match self.nic_bits_per_s {
            0 => 0,
            rate => (bytes * 8 * 1_000_000_000).div_ceil(rate),
        }
    }
}

/// Bytes of a frame beyond its content: its length.
pub(crate) const FRAME_HEAD_BYTES: usize = 4;

/// How long the frame of `value` is, as the real driver encodes it; nothing is allocated.
pub(crate) fn frame_bytes(value: &impl serde::Serialize) -> u32 {
    let size = postcard::ser_flavors::Size::default();
    let content = postcard::serialize_with_flavor(value, size).expect("counting cannot fail");
    u32::try_from(FRAME_HEAD_BYTES + content).expect("frames are far shorter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_messages_add_up() {
        let costs =
            Costs { cpu_ns_per_message: 2_000, cpu_ps_per_byte: 500, nic_bits_per_s: 8_000_000 };
        assert_eq!(costs.cpu_ns(3, 1_000), 6_500);
        assert_eq!(costs.nic_ns(100), 100_000);
        assert_eq!((Costs::NONE.cpu_ns(3, 1_000), Costs::NONE.nic_ns(1_000)), (0, 0));
        assert!(Costs::NONE.is_none() && !costs.is_none());
    }

    #[test]
    fn a_frame_is_as_long_as_it_is_encoded() {
        let value = (7u64, "text", Some(vec![1u8; 300]));
        let encoded = postcard::to_stdvec(&value).unwrap();
        assert_eq!(frame_bytes(&value) as usize, encoded.len() + FRAME_HEAD_BYTES);
    }
}
