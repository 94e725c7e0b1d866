//! `tine bench`: what can be typed, and what it comes to.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::experiment::{self, Experiment};
use super::plan::Plan;

/// `tine bench`, with its values checked.
pub struct Bench {
    /// What to run, in order.
    pub experiments: Vec<&'static Experiment>,
    /// How much to measure.
    pub plan: Plan,
    /// Where the report goes.
    pub out: PathBuf,
    /// The samples of an earlier run, to be shown beside.
    pub compare: Option<PathBuf>,
    /// In a measuring process: what it is to measure.
    pub part: Option<String>,
}

/// The subcommand.
pub fn command() -> Command {
    let number =
        |name, value, help| Arg::new(name).long(name).value_name(value).help(help).allow_negative_numbers(true);
    let list: String = experiment::ALL.iter().map(|e| format!("\n  {:<8}  {}", e.name, e.about)).collect();
    Command::new("bench")
        .about("Measure this machine: what a process for each connection costs, and what else could")
        .override_usage("tine bench [OPTIONS] EXPERIMENT...")
        .after_help(format!("Experiments:{list}\n  {:<8}  all of them, in about five minutes", "all"))
        .arg_required_else_help(true)
        .arg(
            Arg::new("experiment")
                .value_name("EXPERIMENT")
                .help("What to measure; several, or all")
                .action(ArgAction::Append)
                .required(true),
        )
        .args([
            number("out", "DIR", "Where report.html, the pictures and the samples go")
                .default_value("tine-bench")
                .value_parser(value_parser!(OsString)),
            Arg::new("quick").long("quick").action(ArgAction::SetTrue).help("Little of everything, in half a minute"),
            number("compare", "OLD.csv", "Show an earlier run's samples.csv beside this one")
                .value_parser(value_parser!(OsString)),
            number("pin", "CPU", "Keep measuring processes on this processor")
                .value_parser(value_parser!(u32).range(0..1024)),
            number("rounds", "N", "How often each method has its turn [default: 5; quick: 2]")
                .value_parser(value_parser!(u32).range(1..=1000)),
            number("children", "N", "The most processes, descriptors or connections held at once\n[default: 10000; quick: 1000]")
                .value_parser(value_parser!(u32).range(1..=1_000_000)),
            number(
                "against",
                "COMMAND",
                "http: a further server, started by the shell; {port} becomes a\nfree port of 127.0.0.1, {root} the directory with our files;\nmay be repeated",
            )
            .action(ArgAction::Append),
            number("url", "URL", "http: a further server, which runs already; may be repeated")
                .action(ArgAction::Append),
            Arg::new("part").long("part").hide(true),
        ])
}

impl Bench {
    /// Checks what was typed. The error is a message of one line.
    pub fn from_matches(matches: &ArgMatches) -> Result<Self, String> {
        let texts = |name: &str| matches.get_many::<String>(name).unwrap_or_default().cloned().collect::<Vec<_>>();
        let path = |name: &str| matches.get_one::<OsString>(name).map(PathBuf::from);
        let number = |name: &str| matches.get_one::<u32>(name).copied();
        let quick = matches.get_flag("quick");
        let against = texts("against");
        if let Some(command) = against.iter().find(|command| !command.contains("{port}")) {
            return Err(format!("unable to use --against '{command}': it has no {{port}} to listen on"));
        }
        let plan = Plan {
            quick,
            rounds: number("rounds").unwrap_or(if quick { 2 } else { 5 }),
            most_children: number("children").unwrap_or(if quick { 1000 } else { 10_000 }),
            warm_up: if quick { 2 } else { 5 },
            pin: number("pin").map(|cpu| cpu as usize),
            against,
            urls: texts("url"),
        };
        Ok(Bench {
            experiments: experiments(&texts("experiment"))?,
            plan,
            out: path("out").unwrap_or_else(|| "tine-bench".into()),
            compare: path("compare"),
            part: matches.get_one::<String>("part").cloned(),
        })
    }
}

/// The experiments with these names, each once, in the order of the table.
fn experiments(names: &[String]) -> Result<Vec<&'static Experiment>, String> {
    if let Some(strange) = names.iter().find(|name| *name != "all" && experiment::find(name).is_none()) {
        let known: Vec<&str> = experiment::ALL.iter().map(|experiment| experiment.name).chain(["all"]).collect();
        return Err(format!("there is no experiment '{strange}' (there are {})", known.join(", ")));
    }
    let all = names.iter().any(|name| name == "all");
    Ok(experiment::ALL.iter().filter(|e| all || names.iter().any(|name| name == e.name)).collect())
}
