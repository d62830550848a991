//! What holds for a destination: the defaults, and what single hosts have of their own.

use super::Destination;
use crate::limits::IN_FLIGHT_MAX;
use std::{collections::BTreeMap, time::Duration};

/// Requests per second that a limit may allow; beyond, there is no point in counting.
const RATE_MAX: u32 = 100_000;

/// What holds for one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row that open the breaker. At least 1.
    pub failures: u32,
    /// The time over which calls are counted.
    pub window: Duration,
    /// Calls within the window from which on their share of failures counts.
    pub window_calls: u32,
    /// The share of failures that opens the breaker, in percent.
    pub window_percent: u32,
    /// For how long it is open first; doubled each time that trying it fails.
    pub open_base: Duration,
    /// The longest that it is open, and the longest pause that a destination may ask for.
    pub open_cap: Duration,
    /// Calls at a time that try a destination which was unwell. At least 1.
    pub probes: u32,
    /// Requests per second; 0 for any number.
    pub rate: u32,
    /// Requests that may come at once, before `rate` holds. At least 1.
    pub burst: u32,
    /// Calls in flight. At least 1.
    pub in_flight: u32,
    /// How many of those who wait are let come back per second while it is unknown how fast they can go.
    pub returns: u32,
    /// How long a permit lasts, unless it is extended.
    pub permit: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        crate::Config::defaults().pace.rules().default
    }
}

/// What single hosts have of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostRules {
    /// Requests per second.
    pub rate: Option<u32>,
    /// Requests at once.
    pub burst: Option<u32>,
    /// Calls in flight.
    pub in_flight: Option<u32>,
}

/// The defaults, and the hosts that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaceRules {
    /// What holds where nothing else is said.
    pub default: Rules,
    /// By host, or by host and port.
    pub hosts: BTreeMap<String, HostRules>,
}

impl PaceRules {
    /// What holds for a destination: what is said of its host and port, or of its host, over the defaults.
    pub fn of(&self, destination: &Destination) -> Rules {
        let own = self.hosts.get(destination.authority()).or_else(|| self.hosts.get(destination.host()));
        let own = own.copied().unwrap_or_default();
        let rate = own.rate.unwrap_or(self.default.rate);
        // A burst that is larger than the own rate would undo it.
        let burst = own.burst.unwrap_or_else(|| own.rate.map_or(self.default.burst, |rate| rate.max(1)));
        Rules { rate, burst, in_flight: own.in_flight.unwrap_or(self.default.in_flight), ..self.default }
    }

    /// Reads `"api.example.com rate=5 burst=10 in_flight=2, other.example:8443 rate=1"`.
    ///
    /// # Errors
    /// A sentence that names the host and what is accepted.
    pub fn parse_hosts(text: &str) -> Result<BTreeMap<String, HostRules>, String> {
        let mut hosts = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (host, settings) = entry.split_once(char::is_whitespace).unwrap_or((entry, ""));
            let is_host = Destination::new(format!("x://{host}:1")).is_ok();
            if !is_host || settings.trim().is_empty() {
                return Err(format!("{entry:?} must be a host and its limits, as in \"api.example.com rate=5\""));
            }
            let mut own = HostRules::default();
            for setting in settings.split_whitespace() {
                let (name, number) = setting.split_once('=').unwrap_or((setting, ""));
                let number = number.parse::<u32>().ok();
                let (slot, most) = match name {
                    "rate" => (&mut own.rate, RATE_MAX),
                    "burst" => (&mut own.burst, RATE_MAX),
                    "in_flight" => (&mut own.in_flight, IN_FLIGHT_MAX),
                    _ => return Err(format!("{host:?} may have rate=, burst= and in_flight=, not {setting:?}")),
                };
                let least = u32::from(name != "rate");
                *slot = number.filter(|number| (least..=most).contains(number));
                if slot.is_none() {
                    return Err(format!("{name} of {host:?} must be a number from {least} to {most}"));
                }
            }
            if hosts.insert(host.to_owned(), own).is_some() {
                return Err(format!("{host:?} is named twice"));
            }
        }
        Ok(hosts)
    }

    /// Refuses values that would let nothing through, or everything.
    ///
    /// # Errors
    /// A sentence that names the setting and what is accepted.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let rules = &self.default;
        let second = Duration::from_secs(1);
        let day = Duration::from_secs(24 * 3_600);
        if rules.failures == 0 || rules.window_calls == 0 || rules.probes == 0 || rules.burst == 0 {
            return Err("pace.failures, window_calls, probes and burst must be at least 1");
        }
        if !(1..=100).contains(&rules.window_percent) {
            return Err("pace.window_percent must lie between 1 and 100");
        }
        if rules.open_base < Duration::from_millis(10) || rules.open_base > rules.open_cap || rules.open_cap > day {
            return Err("pace.open_base must be at least \"10ms\" and at most pace.open_cap, and that at most \"24h\"");
        }
        if !(1..=IN_FLIGHT_MAX).contains(&rules.in_flight) || rules.rate > RATE_MAX || rules.burst > RATE_MAX {
            return Err("pace.in_flight must lie between 1 and 10000, pace.rate and burst at most 100000");
        }
        if !(1..=10_000).contains(&rules.returns) {
            return Err("pace.returns must lie between 1 and 10000");
        }
        if rules.permit < second
            || rules.permit > Duration::from_secs(3_600)
            || rules.window < second
            || rules.window > day
        {
            return Err("pace.permit must lie between \"1s\" and \"1h\", pace.window between \"1s\" and \"24h\"");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &str) -> PaceRules {
        PaceRules { default: Rules::default(), hosts: PaceRules::parse_hosts(hosts).unwrap() }
    }

    #[test]
    fn the_most_exact_name_of_a_host_rules() {
        let rules = rules("a.example rate=5 in_flight=2, a.example:8443 rate=7 burst=3");
        let of = |text: &str| {
            let rules = rules.of(&Destination::new(text).unwrap());
            (rules.rate, rules.burst, rules.in_flight)
        };
        let default = Rules::default();
        assert_eq!(of("https://a.example:443"), (5, 5, 2));
        assert_eq!(of("https://a.example:8443"), (7, 3, default.in_flight));
        assert_eq!(of("https://b.example:443"), (default.rate, default.burst, default.in_flight));
    }

    #[test]
    fn what_cannot_be_a_limit_of_a_host_is_named() {
        for (text, words) in [
            ("a.example", "must be a host and its limits"),
            ("https://a.example rate=1", "must be a host and its limits"),
            ("a.example speed=1", "may have rate=, burst= and in_flight="),
            ("a.example rate=fast", "rate of \"a.example\" must be a number from 0"),
            ("a.example in_flight=0", "in_flight of \"a.example\" must be a number from 1 to 10000"),
            ("a.example rate=1, a.example rate=2", "named twice"),
        ] {
            let error = PaceRules::parse_hosts(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
