//! What `windlass local` is told about the account it stands for: how rotations go, and which secrets belong to others.

use std::time::Duration;

use crate::local::engine::Pace;
use crate::local::fault;
use crate::local::store::{FunctionArn, Owner, Store};

/// How the Secrets Manager behaves where AWS leaves it open, or where it depends on what else there is in an account.
#[derive(Debug, Clone, clap::Args)]
pub struct AccountArgs {
    /// How often a failing rotation is attempted, before `rotate-secret` has to ask again.
    #[arg(long, value_name = "N", default_value_t = Pace::default().attempts, value_parser = clap::value_parser!(u32).range(1..))]
    pub attempts: u32,
    /// The pause after the first failed attempt, such as 500ms or 1s. Each further one is twice as long [default: 1s].
    #[arg(long, value_name = "TIME", value_parser = fault::time)]
    pub pause: Option<Duration>,
    /// The longest pause between attempts [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = fault::time)]
    pub longest_pause: Option<Duration>,
    /// How long one step may take, as the timeout of the function [default: 60s, or more if the limits of plugins need it].
    #[arg(long, value_name = "TIME", value_parser = fault::time)]
    pub step_timeout: Option<Duration>,
    /// Leave AWSPENDING on the version that a rotation made AWSCURRENT. AWS takes it away; both have been seen.
    #[arg(long)]
    pub pending_lingers: bool,
    /// The secret that is created under this name is a replica: it can be read, and changes are refused. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub replica: Vec<String>,
    /// The secret that is created under this name belongs to this AWS service, such as rds: changes are refused. Repeatable.
    #[arg(long, value_name = "NAME=SERVICE", value_parser = owned)]
    pub owned: Vec<(String, String)>,
}

impl AccountArgs {
    /// The pace, where these arguments do not say otherwise that of `default`.
    pub fn pace(&self, default: Pace) -> Pace {
        Pace {
            attempts: self.attempts,
            pause: self.pause.unwrap_or(default.pause),
            longest_pause: self.longest_pause.unwrap_or(default.longest_pause),
            timeout: self.step_timeout.unwrap_or(default.timeout),
        }
    }

    /// A store without secrets that knows all this.
    pub fn store(&self, function: &FunctionArn) -> Store {
        let mut store = Store::new(function.clone());
        if self.pending_lingers {
            store.let_pending_linger();
        }
        let primary = if function.region() == "us-east-1" { "us-west-2" } else { "us-east-1" };
        for name in &self.replica {
            store.belongs(name.clone(), Owner::Region(primary.to_owned()));
        }
        for (name, service) in &self.owned {
            store.belongs(name.clone(), Owner::Service(service.clone()));
        }
        store
    }
}

fn owned(text: &str) -> Result<(String, String), String> {
    match text.rsplit_once('=') {
        Some((name, service)) if !name.is_empty() && !service.is_empty() => Ok((name.to_owned(), service.to_owned())),
        Some(_) | None => Err("write the name of the secret and the service, for example rds!db-1=rds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        account: AccountArgs,
    }

    fn parsed(arguments: &[&str]) -> Result<AccountArgs, String> {
        let line = Line::try_parse_from([&["local"], arguments].concat());
        line.map(|line| line.account).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_stays_as_it_was() {
        let default = Pace::for_calls(Duration::from_secs(100));
        assert_eq!(parsed(&[]).unwrap().pace(default.clone()), default);
    }

    #[test]
    fn every_part_of_the_pace_can_be_said() {
        let arguments = ["--attempts", "2", "--pause", "10ms", "--longest-pause", "20ms", "--step-timeout", "3s"];
        let [pause, longest_pause] = [10, 20].map(Duration::from_millis);
        let expected = Pace { attempts: 2, pause, longest_pause, timeout: Duration::from_secs(3) };
        assert_eq!(parsed(&arguments).unwrap().pace(Pace::default()), expected);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for arguments in [["--attempts", "0"], ["--pause", "1"], ["--owned", "name"], ["--owned", "=rds"], ["--owned", "name="]] {
            assert!(parsed(&arguments).is_err(), "{arguments:?}");
        }
    }
}
