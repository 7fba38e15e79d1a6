//! Which faults are tried.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use proptest::prelude::*;
use windlass::event::Step;
use windlass::local::fault::{Fault, Occurrence, Outsider, Place, Staleness, Trouble};

use crate::service::Kind;

/// What goes wrong in one rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub kind: Kind,
    pub faults: Vec<Fault>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        self.faults.iter().try_for_each(|fault| write!(f, " {fault}"))
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ');
        let name = words.next().unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|kind| kind.to_string() == name).ok_or_else(|| format!("`{name}` is no model"))?;
        let faults = words.map(|fault| fault.parse().map_err(|error| format!("{error}"))).collect::<Result<_, _>>()?;
        Ok(Self { kind, faults })
    }
}

/// Every trouble, with arguments that reach past the function's own time limits and within them.
const TROUBLES: [Trouble; 22] = [
    Trouble::Throttle,
    Trouble::Error,
    Trouble::Unavailable,
    Trouble::LostRequest,
    Trouble::LostAnswer,
    Trouble::Latency(Duration::from_secs(2)),
    // Longer than an attempt of the AWS SDK and than a read of a plugin.
    Trouble::Latency(Duration::from_secs(12)),
    // Longer than a step.
    Trouble::Latency(Duration::from_secs(90)),
    Trouble::Late(Duration::from_millis(100)),
    Trouble::Late(Duration::from_secs(120)),
    Trouble::Stale(Staleness::Reads(1)),
    Trouble::Stale(Staleness::Reads(12)),
    Trouble::Stale(Staleness::Time(Duration::from_secs(5))),
    Trouble::Kill,
    Trouble::KillAfter,
    Trouble::Duplicate,
    Trouble::Outsider(Outsider::StoreCurrent),
    Trouble::Outsider(Outsider::MoveCurrent),
    Trouble::Outsider(Outsider::TakePending),
    Trouble::Outsider(Outsider::Cancel),
    Trouble::Outsider(Outsider::Delete),
    Trouble::Outsider(Outsider::SwapPlugin),
];

/// Each trouble at each of these places, at each occurrence up to the given one.
pub fn singles(places: &[(Place, u32)]) -> Vec<Fault> {
    let steps = Step::ALL.map(|step| (Place::Step(step), 1));
    let mut faults = Vec::new();
    for (place, occurrences) in places.iter().copied().chain(steps) {
        for number in 1..=occurrences {
            for trouble in TROUBLES.into_iter().filter(|trouble| trouble.fits(place)) {
                faults.push(Fault { place, occurrence: Occurrence::Nth(number), trouble });
            }
        }
    }
    faults
}

/// All pairs of different faults, in an order that jumps about, so that a look that ends early has seen some of everything.
pub fn pairs(singles: Vec<Fault>) -> impl Iterator<Item = [Fault; 2]> + Send {
    let count = singles.len();
    // Coprime to the count, so that each distance is visited once.
    let stride = (1..count).rev().find(|stride| greatest_common_divisor(*stride, count) == 1 && stride % 7 != 0).unwrap_or(1);
    let distances = (0..count).map(move |nth| (nth * stride) % count).filter(|distance| *distance != 0);
    distances.flat_map(move |distance| {
        let singles = singles.clone();
        // Each unordered pair once: from the lower place to the higher.
        (0..count - distance).map(move |first| [singles[first].clone(), singles[first + distance].clone()])
    })
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Two to eight faults, at occurrences that only a repeat of the rotation has, too.
pub fn sequences(of_kinds: Vec<(Kind, Vec<Fault>)>) -> impl Strategy<Value = Schedule> {
    let kinds = prop::sample::select(of_kinds);
    (kinds, prop::collection::vec((any::<prop::sample::Index>(), 1_u32..=3), 2..=8)).prop_map(|((kind, singles), picks)| {
        let later = |(index, times): (prop::sample::Index, u32)| {
            let fault = index.get(&singles).clone();
            let occurrence = match fault.occurrence {
                Occurrence::Nth(number) => Occurrence::Nth(number * times),
                Occurrence::Every => Occurrence::Every,
            };
            Fault { occurrence, ..fault }
        };
        Schedule { kind, faults: picks.into_iter().map(later).collect() }
    })
}
