//! The options of `tine serve` that say how many children a pool has.

use clap::{Arg, ArgMatches, value_parser};
use tcpserver::PoolSize;

use crate::cli::{is_given, option};

/// A pool that follows the load has these, unless told otherwise.
const DEFAULT: PoolSize = PoolSize { min_spare: 8, max_spare: 64, max_children: 1000 };

/// The options, in the order of the help.
pub fn options() -> [Arg; 4] {
    let number = value_parser!(u32).range(1..=1_000_000);
    [
        option("children", "N", "prefork: a fixed number of children, in place of a pool\nthat follows the load"),
        option("min-spare", "N", "prefork: so many children wait ahead of connections, or\nmore [default: 8]"),
        option("max-spare", "N", "and when more than so many wait, one after the other\nleaves [default: 64]"),
        option(
            "max-children",
            "N",
            "prefork: children at once; further clients wait in the\nkernel's queue [default: 1000]",
        ),
    ]
    .map(|arg| arg.value_parser(number))
}

/// The names of [`options`].
pub const NAMES: [&str; 4] = ["children", "min-spare", "max-spare", "max-children"];

/// What was typed comes to: a default that was not typed gives way. The error is a message of one line.
pub fn size(matches: &ArgMatches) -> Result<PoolSize, String> {
    let typed = |name: &str| matches.get_one::<u32>(name).copied();
    if let Some(children) = typed("children") {
        return match NAMES.into_iter().skip(1).find(|name| is_given(matches, name)) {
            Some(name) => Err(format!(
                "--children is a fixed number, and --{name} of a pool that follows the load: leave one of them out"
            )),
            None => Ok(PoolSize::fixed(children)),
        };
    }
    let max_children = typed("max-children")
        .unwrap_or(DEFAULT.max_children.max(typed("min-spare").unwrap_or(0)).max(typed("max-spare").unwrap_or(0)));
    let least = DEFAULT.min_spare.min(typed("max-spare").unwrap_or(u32::MAX)).min(max_children);
    let min_spare = typed("min-spare").unwrap_or(least);
    let max_spare = typed("max-spare").unwrap_or(DEFAULT.max_spare.clamp(min_spare, max_children.max(min_spare)));
    let order = [("min-spare", min_spare), ("max-spare", max_spare), ("max-children", max_children)];
    for (less, more) in [(0, 2), (0, 1), (1, 2)] {
        let [(small, few), (large, many)] = [order[less], order[more]];
        if few > many {
            return Err(format!("--{small} {few} is more than --{large} {many}: lower the one or raise the other"));
        }
    }
    Ok(PoolSize { min_spare, max_spare, max_children })
}

/// The effective settings, a line each.
pub fn describe(size: &PoolSize, mut line: impl FnMut(&str, u32)) {
    if size.is_fixed() {
        return line("children", size.max_children);
    }
    line("min-spare", size.min_spare);
    line("max-spare", size.max_spare);
    line("max-children", size.max_children);
}

/// In few words, for the line that says that connections are served.
pub fn in_words(size: &PoolSize) -> String {
    if size.is_fixed() {
        format!("{} children", size.max_children)
    } else {
        format!("{} to {} children", size.min_spare, size.max_children)
    }
}
