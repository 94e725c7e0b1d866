//! `tine completions`: what a shell needs to complete a command line, made from the same records as the help.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;

/// The shells that there is a script for. clap knows two more, which nobody has on Linux.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The command.
pub fn command() -> Command {
    let shells = PossibleValuesParser::new(SHELLS).try_map(|name| Shell::from_str(&name));
    Command::new("completions")
        .about("Print a script by which a shell completes the options of tine")
        .after_help(
            "In ~/.bashrc: source <(tine completions bash)\n\
             In ~/.zshrc, behind compinit: source <(tine completions zsh)\n\
             In ~/.config/fish/config.fish: tine completions fish | source",
        )
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(shells).help("For which shell"))
}

/// The script for the shell that was typed.
pub fn script(matches: &ArgMatches, mut whole: Command) -> String {
    let mut script = Vec::new();
    if let Some(shell) = matches.get_one::<Shell>("shell") {
        clap_complete::generate(*shell, &mut whole, "tine", &mut script);
    }
    String::from_utf8_lossy(&script).into_owned()
}
