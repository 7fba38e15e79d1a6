//! Where in a run of set-secret something happens: at each of its first places, and evenly spread over the rest of a long run.

/// So many places are tried one by one.
const EACH: usize = 100;

/// So many of the places beyond are tried.
const SPREAD: usize = 50;

/// The places that are tried, counted from one, and what is known of how many there are.
#[derive(Debug)]
pub(super) struct Places {
    /// Those to come, the last one first.
    to_come: Vec<usize>,
    tried: usize,
    /// How many there are, once more than [`EACH`] are known to be.
    beyond: Option<usize>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { to_come: (1..=EACH).rev().collect(), tried: 0, beyond: None }
    }

    /// The next place to try.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.to_come.pop()
    }

    /// Remembers that the place that came last was there. Whether somebody has to [`Places::spread`] those that are left.
    pub(super) fn tried(&mut self) -> bool {
        self.tried += 1;
        self.to_come.is_empty() && self.beyond.is_none()
    }

    /// How many of these things were tried, and of how many if not all were.
    pub(super) fn in_words(&self, things: &str) -> String {
        match self.beyond.filter(|all| *all > self.tried) {
            Some(all) => {
                format!("the first {EACH} {things}, and {} of the other {} at even distances", self.tried - EACH, all - EACH)
            }
            None => format!("{} {things}", self.tried),
        }
    }

    /// Whether there was no place at all.
    pub(super) const fn none(&self) -> bool {
        self.tried == 0
    }

    /// Goes on beyond the places that were tried one by one, in a run that has this many.
    pub(super) fn spread(&mut self, all: usize) {
        self.beyond = Some(all);
        self.to_come = evenly(EACH + 1, all, SPREAD);
        self.to_come.reverse();
    }
}

/// At most this many of the places from `first` to `last`, at even distances, the last one among them. `first` is counted from one.
pub(super) fn evenly(first: usize, last: usize, most: usize) -> Vec<usize> {
    let (before, count) = (first - 1, (last + 1).saturating_sub(first));
    let chosen = most.min(count);
    (1..=chosen).map(|nth| before + nth * count / chosen).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all_of_few(1, 3, 5, &[1, 2, 3])]
    #[case::some_of_many(101, 200, 4, &[125, 150, 175, 200])]
    #[case::uneven(1, 10, 4, &[2, 5, 7, 10])]
    #[case::none(101, 100, 4, &[])]
    fn places_are_spread_up_to_the_last_one(
        #[case] first: usize,
        #[case] last: usize,
        #[case] most: usize,
        #[case] chosen: &[usize],
    ) {
        assert_eq!(evenly(first, last, most), chosen);
    }

    /// What a run with this many places makes of them, and what is said of it.
    fn run(all: usize) -> (Vec<usize>, String) {
        let (mut places, mut tried) = (Places::new(), Vec::new());
        while let Some(place) = places.next() {
            if place > all {
                break;
            }
            tried.push(place);
            if places.tried() {
                places.spread(all);
            }
        }
        (tried, places.in_words("places"))
    }

    #[rstest]
    #[case::few(43, 43, "43 places")]
    #[case::as_many_as_are_tried_one_by_one(100, 100, "100 places")]
    #[case::some_more(120, 120, "120 places")]
    #[case::many(345, 150, "the first 100 places, and 50 of the other 245 at even distances")]
    fn a_long_run_is_tried_to_its_end_and_what_is_left_out_is_said(#[case] all: usize, #[case] count: usize, #[case] said: &str) {
        let (tried, words) = run(all);
        assert_eq!((tried.len(), tried.last(), words.as_str()), (count, Some(&all), said));
    }
}
