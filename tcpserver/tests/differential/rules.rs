//! Which connections the rules admit, with which variables, and what happens without usable rules.

use crate::{
    case::{Case, PLAIN},
    story::same,
};

#[test]
fn addresses_and_prefixes() {
    const RULES: &str = "127.0.0.2:deny\n127.0.0.3:allow,A=\"b\"\n127.0.1.:deny\n127.0.:allow,NET=\"127.0\"\n127.2.3.4-6:allow,R=/x/\n\
        127.:deny\n:allow,ALL=\"yes\"\n";
    let clients: &[[u8; 4]] = &[
        [127, 0, 0, 1],
        [127, 0, 0, 2],
        [127, 0, 0, 3],
        [127, 0, 1, 1],
        [127, 2, 3, 4],
        [127, 2, 3, 7],
        [127, 9, 9, 9],
    ];
    for options in [PLAIN, "-RHl0", "-qRHl0"] {
        let told = "env | grep -v 'PORT=\\|^PWD=' | sort";
        same(&Case::new(options).rules(RULES).shell(told).talk_from(clients).env("A", "from before"));
        for from in clients {
            same(&Case::new(options).rules(RULES).look_from(*from));
        }
    }
}

/// Variables of rules come last: they override what tcpserver sets for the program, and not what it logs.
#[test]
fn variables_of_rules_come_last() {
    same(&Case::new(PLAIN).rules(
        "127.0.0.1:allow,TCPREMOTEIP=\"10.0.0.1\",TCPREMOTEHOST=\"forged\",TCPLOCALHOST=\"x\",PROTO=\"\",TCPREMOTEINFO=\"i\"\n",
    ));
    same(&Case::new(PLAIN).rules(":allow,A=\"1\",B=\"2\",A=\"3\"\n").env("B", "before"));
    same(&Case::new(PLAIN).rules(":allow,PATH=\"/no/such\"\n"));
    same(&Case::new(PLAIN).rules(":allow,PATH=\"/no/such\"\n").program(&["cat"]));
    same(&Case::new(PLAIN).rules(":allow,E=\"\",=\"no name\",X==y=\n"));
    same(&Case::new(PLAIN).rules(":deny,A=\"1\"\n").talk_from(&[[127, 0, 0, 1]]));
}

#[test]
fn no_rule_and_no_rules_admit() {
    same(&Case::new(PLAIN).rules(""));
    same(&Case::new(PLAIN).rules("10.:deny\n"));
    same(&Case::new(PLAIN).rules("=:deny\n=localhost:deny\nroot@127.0.0.1:deny\n"));
}

/// A fixed local name or none has no influence on rules, nor has a name that is inherited.
#[test]
fn inherited_names_are_not_looked_up() {
    let rules = "=evil.example:deny\nroot@127.0.0.1:deny\n=:deny\n";
    same(&Case::new(PLAIN).rules(rules).env("TCPREMOTEHOST", "evil.example").env("TCPREMOTEINFO", "root"));
}

const HEAD: &str = "printf ':deny\\n' | /usr/bin/tcprules full.cdb full.tmp; ";

fn with_file(options: &str, make: &str) -> Case {
    let prelude = Box::leak(format!("{HEAD}{make}").into_boxed_str());
    Case::new(options).option("-x").option("the.cdb").prelude(prelude).talk_from(&[[127, 0, 0, 1], [127, 0, 0, 2]])
}

/// Files that cannot be used: the connection is dropped, with the reason; `-X` forgives only a missing one.
#[test]
fn rules_that_cannot_be_read() {
    for options in ["-vRHl0", "-RHl0", "-XvRHl0", "-vRHl0 -X", "-qRHl0", "-qXRHl0"] {
        for make in [
            ":",
            ">the.cdb",
            "ln -s the.cdb the.cdb",
            "ln -s no/such/file the.cdb",
            "head -c 100 full.cdb >the.cdb",
            "head -c 2047 full.cdb >the.cdb",
            "head -c 2048 full.cdb >the.cdb",
            "head -c 2060 full.cdb >the.cdb",
            "head -c 4096 /dev/zero >the.cdb",
            "head -c 4096 /dev/zero | tr '\\000' '\\377' >the.cdb",
            "ln -s /dev/null the.cdb",
            "ln -s full.cdb the.cdb",
        ] {
            same(&with_file(options, make));
        }
    }
}

#[test]
fn rules_that_may_not_be_read() {
    if !crate::common::scratch::is_root() {
        return crate::common::say("SKIPPED rules_that_may_not_be_read: only root changes its user");
    }
    for options in ["-vRHl0 -u 65534 -g 65534", "-XvRHl0 -u 65534 -g 65534"] {
        same(&with_file(options, "cp full.cdb the.cdb; chmod 0 the.cdb"));
        same(&with_file(options, "mkdir closed; chmod 700 closed; ln -s closed/x the.cdb"));
    }
}

/// Damage in every byte of a small file: both admit or drop alike, or the difference is told.
#[test]
fn rules_are_replaced_while_it_runs() {
    let program =
        "printf '127.0.0.1:allow,N=\"%s\"\\n' \"$((N + 1))\" | /usr/bin/tcprules rules.cdb rules.tmp; echo \"N is $N\"";
    let three = [[127, 0, 0, 1], [127, 0, 0, 1], [127, 0, 0, 1]];
    same(&Case::new(PLAIN).rules(":allow,N=\"0\"\n").shell(program).talk_from(&three));
    let remove = "rm -f rules.cdb; echo removed";
    same(&Case::new(PLAIN).rules(":allow\n").shell(remove).talk_from(&three));
    same(&Case::new("-X -vRHl0").rules(":allow\n").shell(remove).talk_from(&three));
    let deny = "echo ':deny' | /usr/bin/tcprules rules.cdb rules.tmp; echo last";
    same(&Case::new(PLAIN).rules(":allow\n").shell(deny).talk_from(&three));
    // In place, which tcprules never does, and back to a time stamp that was there before.
    let truncate = ": >rules.cdb; echo emptied";
    same(&Case::new(PLAIN).rules(":allow\n").shell(truncate).talk_from(&three));
    let relink = "mv rules.cdb old.cdb; echo ':deny' | /usr/bin/tcprules rules.cdb rules.tmp; \
        touch -r old.cdb rules.cdb; echo relinked";
    same(&Case::new(PLAIN).rules(":allow\n").shell(relink).talk_from(&three));
}

/// The directory that holds the rules is replaced, or comes only later: a name is looked up each time.
#[test]
fn the_name_of_the_rules_is_looked_up_for_each_connection() {
    let program =
        "mkdir -p d2; echo ':deny' | /usr/bin/tcprules d2/the.cdb d2/tmp; mv d d3 2>/dev/null; mv d2 d; echo moved";
    let case = Case::new("-vRHl0 -X").option("-x").option("d/the.cdb").shell(program);
    same(&case.talk_from(&[[127, 0, 0, 1], [127, 0, 0, 1]]));
}
