//! Whose turn it is among the priorities: the higher first, but the lower are not forgotten. Knows no request.

use super::super::call::Priority;

/// Number of priorities.
pub(super) const CLASSES: usize = 3;
/// Whoever waits lets this many of higher priority pass.
const PATIENCE: u32 = 8;

/// Place of a priority in an array; the highest is 0.
pub(super) fn class(priority: Priority) -> usize {
    match priority {
        Priority::Interactive => 0,
        Priority::Scheduled => 1,
        Priority::Backfill => 2,
    }
}

/// Counts how often each priority was passed over.
#[derive(Debug, Default)]
pub(super) struct Turns {
    passed: [u32; CLASSES],
}

impl Turns {
    /// The class that is next, of those that wait.
    pub fn next(&self, waits: [bool; CLASSES]) -> Option<usize> {
        let lost_patience = (1..CLASSES).rev().find(|class| waits[*class] && self.passed[*class] >= PATIENCE);
        lost_patience.or_else(|| (0..CLASSES).find(|class| waits[*class]))
    }

    /// One of this class went.
    pub fn went(&mut self, class: usize, waits: [bool; CLASSES]) {
        self.passed[class] = 0;
        for (lower, waits) in waits.iter().enumerate().skip(class + 1) {
            self.passed[lower] = if *waits { self.passed[lower] + 1 } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_ones_go_first_and_lower_ones_in_the_end() {
        let mut turns = Turns::default();
        let mut counts = [0u32; CLASSES];
        for _ in 0..810 {
            let class = turns.next([true; CLASSES]).expect("all wait");
            turns.went(class, [true; CLASSES]);
            counts[class] += 1;
        }
        assert!(counts[0] > 600, "{counts:?}");
        assert!(counts[1] >= 70 && counts[2] >= 70, "{counts:?}");
        assert_eq!(turns.next([false, false, true]), Some(2));
        assert_eq!(turns.next([false; CLASSES]), None);
    }
}
