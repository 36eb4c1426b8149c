//! What it costs a replica to work: CPU time and the time that bytes need to leave.
//!
//! A replica's CPU serves one thing at a time, in the order in which things came. What came while it was busy is taken in
//! together and flushed once, as the real driver does: that is a wakeup and costs [`Costs::cpu_ns_per_wakeup`], however much
//! there is. Taking in a message, a request or a timer costs [`Costs::cpu_ns_per_message`] and its bytes, and so does sending a
//! message or a reply, for each receiver, since each has a connection and an encryption of its own.
//! A command that is executed costs [`Costs::cpu_ns_per_command`], with the table of sessions and
//! whatever else is done once a command, and each row by which an instance is put in order of
//! execution costs [`Costs::cpu_ns_per_ordering_step`]: both beside the messages that brought them.
//! So the CPU time of a replica is a sum of what is counted of real ones, and can be fitted to
//! theirs.
//!
//! What a wakeup calls for is sent when its work is done, all of it together, as a real replica
//! writes what it has put out: so the receivers take it in together, too. It leaves through the
//! network interface, one byte after the other.

/// How many times its CPU time a replica's work takes, in thousandths.
pub(crate) const NORMAL_PACE: u64 = 1_000;

/// What work costs. All zero is a replica that works in no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// CPU time per taking in of what was ready and flushing of what that called for, in nanoseconds.
    pub cpu_ns_per_wakeup: u64,
    /// CPU time per message taken in or sent to one receiver, in nanoseconds.
    pub cpu_ns_per_message: u64,
    /// CPU time per byte taken in or sent to one receiver, in picoseconds.
    pub cpu_ps_per_byte: u64,
    /// CPU time per command executed, in nanoseconds.
    pub cpu_ns_per_command: u64,
    /// CPU time per row by which an executed instance was put in order, in nanoseconds; protocols
    /// that order by slot have none.
    pub cpu_ns_per_ordering_step: u64,
    /// How fast bytes leave, in bits per second; 0 is at once.
    pub nic_bits_per_s: u64,
}

impl Costs {
    /// Work takes no time.
    pub const NONE: Self = Self {
        cpu_ns_per_wakeup: 0,
        cpu_ns_per_message: 0,
        cpu_ps_per_byte: 0,
        cpu_ns_per_command: 0,
        cpu_ns_per_ordering_step: 0,
        nic_bits_per_s: 0,
    };

    /// Does work take no time?
    #[inline]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// CPU time for so much work, in nanoseconds.
    pub(crate) const fn cpu_ns(&self, work: Work) -> u64 {
        let Work { wakeups, messages, bytes, commands, ordering_steps } = work;
        wakeups * self.cpu_ns_per_wakeup
            + messages * self.cpu_ns_per_message
            + bytes * self.cpu_ps_per_byte / 1_000
            + commands * self.cpu_ns_per_command
            + ordering_steps * self.cpu_ns_per_ordering_step
    }

    /// How long so many bytes take to leave, in nanoseconds.
    pub(crate) const fn nic_ns(&self, bytes: u64) -> u64 {
        match self.nic_bits_per_s {
            0 => 0,
            rate => (bytes * 8 * 1_000_000_000).div_ceil(rate),
        }
    }
}

/// What a CPU does, as far as it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    wakeups: u64,
    messages: u64,
    bytes: u64,
    commands: u64,
    ordering_steps: u64,
}

impl Work {
    /// Nothing.
    pub(crate) const NONE: Self =
        Self { wakeups: 0, messages: 0, bytes: 0, commands: 0, ordering_steps: 0 };

    /// What was ready is taken in together, and what it calls for is flushed.
    pub(crate) const WAKEUP: Self = Self { wakeups: 1, ..Self::NONE };

    /// So many commands are executed.
    pub(crate) const fn commands(commands: u64) -> Self {
        Self { commands, ..Self::NONE }
    }

    /// A message of so many bytes comes or leaves.
    pub(crate) const fn message(bytes: u32) -> Self {
        Self::messages(1, bytes)
    }

    /// A message of so many bytes leaves for so many receivers.
    pub(crate) const fn messages(receivers: u64, bytes: u32) -> Self {
        Self { messages: receivers, bytes: receivers * bytes as u64, ..Self::NONE }
    }

    /// Instances were put in order of execution, by so many rows.
    pub(crate) const fn ordering(ordering_steps: u64) -> Self {
        Self { ordering_steps, ..Self::NONE }
    }
}

impl std::ops::Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            wakeups: self.wakeups + other.wakeups,
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
            commands: self.commands + other.commands,
            ordering_steps: self.ordering_steps + other.ordering_steps,
        }
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
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
        let costs = Costs {
            cpu_ns_per_wakeup: 30_000,
            cpu_ns_per_message: 2_000,
            cpu_ps_per_byte: 500,
            cpu_ns_per_command: 700,
            cpu_ns_per_ordering_step: 90,
            nic_bits_per_s: 8_000_000,
        };
        assert_eq!(costs.cpu_ns(Work::message(1_000)), 2_500);
        assert_eq!(costs.cpu_ns(Work::WAKEUP), 30_000);
        assert_eq!(costs.cpu_ns(Work::commands(1)), 700);
        assert_eq!(costs.cpu_ns(Work::ordering(3)), 270);
        assert_eq!(costs.nic_ns(100), 100_000);
        assert_eq!((Costs::NONE.cpu_ns(Work::message(1_000)), Costs::NONE.nic_ns(1_000)), (0, 0));
        assert!(Costs::NONE.is_none() && !costs.is_none());
    }

    #[test]
    fn a_frame_is_as_long_as_it_is_encoded() {
        let value = (7u64, "text", Some(vec![1u8; 300]));
        let encoded = postcard::to_stdvec(&value).unwrap();
        assert_eq!(frame_bytes(&value) as usize, encoded.len() + FRAME_HEAD_BYTES);
    }
}
