//! How much is sent again to one peer, and when: as much as that peer takes in.
//!
//! What is sent again goes out in rounds. A round has a budget in bytes, and a small message with
//! the round's number behind it, which the peer answers when it has taken in what came before. The
//! next round starts with that answer, so that a peer that lags is sent no more than it takes in,
//! and one that does not answer costs a small round now and then. Rounds that are answered before
//! the period ends double the budget. A round that is not answered in time is given up: the next
//! one has half the budget, and is waited for twice as long. Nothing of it concerns any other peer.
//!
//! Where the peer answers what is sent in any case, its answer to the last message of a round
//! stands for the answer to the round, and no message has a number.
//!
//! Bookkeeping only: the protocols have messages of their own for it, and know what to send. Time
//! is counted in periods of the protocol's retransmission timer.

/// chosen: what each message counts for beside its payload, in bytes. What a small message costs
/// its receiver is work, and that of a few hundred bytes more.
const MESSAGE_BYTES: usize = 256;
/// chosen: a round trip's worth for a peer of which nothing is known yet, in bytes.
const BUDGET_AT_FIRST: usize = 64 << 10;
/// chosen: what a peer gets in a round that never answers in time, in bytes: some messages.
const BUDGET_MIN: usize = 4 << 10;
/// chosen: what a peer gets in a round at most, in bytes. A link of 1 Gbit/s takes 8 ms for it.
const BUDGET_MAX: usize = 1 << 20;
/// chosen: a round is waited for so many periods at most.
const WAIT_PERIODS_MAX: u32 = 16;

/// The rounds for one peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pacing {
    /// The number of the last round; 0 before the first one.
    round: u64,
    /// What the next round may have, in bytes.
    budget: usize,
    /// For how many periods the last round has been unanswered; none once it is answered.
    unanswered: Option<u32>,
    /// After how many periods it is given up.
    wait: u32,
    /// Was the last answer there before the period ended in which its round began?
    is_prompt: bool,
}

/// What is left of a round's budget. The first thing always fits, however large it is.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    is_untouched: bool,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { round: 0, budget: BUDGET_AT_FIRST, unanswered: None, wait: 1, is_prompt: false }
    }
}

impl Pacing {
    /// So many periods have passed. True if a round may start: none is under way, or the last one
    /// is given up.
    pub fn passed(&mut self, periods: u32) -> bool {
        let Some(unanswered) = &mut self.unanswered else { return true };
        *unanswered = unanswered.saturating_add(periods);
        if *unanswered <= self.wait {
            return false;
        }
        self.unanswered = None;
        self.budget = (self.budget / 2).max(BUDGET_MIN);
        self.wait = (self.wait * 2).min(WAIT_PERIODS_MAX);
        true
    }

    /// How many bytes a round that starts now may have.
    pub fn bytes(&self) -> u32 {
        self.budget.try_into().expect("1 MiB at most")
    }

    /// What a round that starts now may send.
    pub const fn budget(&self) -> Budget {
        Budget { left: self.budget, is_untouched: true }
    }

    /// A round has been sent. Its number goes behind it.
    pub fn sent(&mut self) -> u64 {
        self.round += 1;
        self.unanswered = Some(0);
        self.round
    }

    /// The peer has answered the round of this number. True if another one may start at once.
    pub fn answered(&mut self, round: u64) -> bool {
        // An answer to an earlier round came too late: that one was given up.
        if round != self.round {
            return false;
        }
        let Some(periods) = self.unanswered.take() else { return false };
        self.is_prompt = periods == 0;
        if self.is_prompt {
            self.budget = (self.budget * 2).min(BUDGET_MAX);
        }
        if periods <= 1 {
            self.wait = 1;
        }
        true
    }

    /// Did the peer answer the last round that it answered before the period ended?
    pub const fn is_prompt(&self) -> bool {
        self.is_prompt
    }

    /// The peer has answered the last round by messages that name none. True if another one may
    /// start at once.
    pub fn progressed(&mut self) -> bool {
        self.answered(self.round)
    }

    /// Has the peer left the last rounds unanswered?
    pub const fn is_silent(&self) -> bool {
        self.wait > 1
    }
}

impl Budget {
    /// Takes a message with so many bytes of payload out of it. False if it does not fit any more.
    pub const fn take(&mut self, payload: usize) -> bool {
        let bytes = payload.saturating_add(MESSAGE_BYTES);
        if self.is_untouched {
            self.is_untouched = false;
        } else if bytes > self.left {
            self.left = 0;
            return false;
        }
        self.left = self.left.saturating_sub(bytes);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(pacing: &Pacing) -> usize {
        pacing.budget().left
    }

    #[test]
    fn answers_in_time_double_the_budget_up_to_its_bound() {
        let mut pacing = Pacing::default();
        let mut budgets = Vec::new();
        for number in 1..=6 {
            assert!(number > 1 || pacing.passed(1));
            budgets.push(budget(&pacing) >> 10);
            assert_eq!(pacing.sent(), number);
            assert!(pacing.answered(number));
            assert!(!pacing.answered(number), "a repetition");
        }
        assert_eq!(budgets, [64, 128, 256, 512, 1024, 1024]);
    }

    /// How many of so many periods begin a round, if none is ever answered.
    #[test]
    fn a_silent_peer_costs_ever_less() {
        let mut pacing = Pacing::default();
        let mut rounds = Vec::new();
        for period in 0..200 {
            if pacing.passed(1) {
                rounds.push((period, budget(&pacing) >> 10));
                pacing.sent();
            }
        }
        let (first, last) = (&rounds[..6], rounds[rounds.len() - 2..].to_vec());
        assert_eq!(first, [(0, 64), (2, 32), (5, 16), (10, 8), (19, 4), (36, 4)]);
        assert_eq!(last[1].0 - last[0].0, 17, "and no less than that");
        assert!(pacing.is_silent());
    }

    #[test]
    fn a_late_answer_lets_the_next_round_start_and_leaves_the_pace() {
        let mut pacing = Pacing::default();
        pacing.sent();
        assert!(!pacing.passed(1));
        assert!(pacing.passed(1), "given up");
        let second = pacing.sent();
        assert!(!pacing.answered(second - 1), "an answer to what was given up");
        assert!(!pacing.passed(2));
        assert!(pacing.answered(second), "waited for long enough");
        assert_eq!(budget(&pacing), BUDGET_AT_FIRST / 2);
        assert!(pacing.is_silent());
        let third = pacing.sent();
        assert!(pacing.answered(third));
        assert_eq!(budget(&pacing), BUDGET_AT_FIRST);
        assert!(!pacing.is_silent(), "in time again");
    }

    #[test]
    fn an_answer_that_takes_a_run_of_the_timer_leaves_the_budget() {
        let mut pacing = Pacing::default();
        let first = pacing.sent();
        assert!(!pacing.passed(1));
        assert!(pacing.answered(first));
        assert_eq!((budget(&pacing), pacing.is_silent()), (BUDGET_AT_FIRST, false));
    }

    /// Round trips of any length up to the longest wait are met in the end.
    #[test]
    fn the_wait_outlasts_round_trips_of_many_periods() {
        for trip in 1..=WAIT_PERIODS_MAX {
            let mut pacing = Pacing::default();
            let (mut answers, mut under_way) = (0, Vec::new());
            for period in 0..400 {
                under_way.retain(|(at, round)| {
                    let comes = *at == period;
                    if comes && pacing.answered(*round) {
                        answers += 1;
                    }
                    !comes
                });
                if pacing.passed(1) {
                    under_way.push((period + trip, pacing.sent()));
                }
            }
            assert!(answers > 10, "{answers} at {trip}");
        }
    }

    #[test]
    fn a_budget_counts_messages_and_lets_a_first_one_pass() {
        let pacing = Pacing::default();
        let mut small = pacing.budget();
        let taken = (0..10_000).take_while(|_| small.take(0)).count();
        assert_eq!(taken, BUDGET_AT_FIRST / MESSAGE_BYTES);
        let mut large = pacing.budget();
        assert!(large.take(usize::MAX) && !large.take(0));
        let mut mixed = pacing.budget();
        assert!(mixed.take(BUDGET_AT_FIRST / 2));
        assert!(!mixed.take(BUDGET_AT_FIRST), "too much for what is left");
        assert!(!mixed.take(0), "and nothing comes before it");
    }
}
