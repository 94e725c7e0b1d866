//! `spawn`: making a child until its first byte arrives, and reaping it, while the number of live children grows.
//!
//! Whoever makes children is a process of its own, made anew for each round and small: `parent` for processes, `threads`
//! for threads, `pool` for children that wait ahead; and for the question of linking a C program (`parent.c`), the same
//! source linked both ways. They measure at every step of live children, and tell.

mod compiled;
mod held;
mod parent;
mod pool;
mod programs;
mod sentences;
mod threads;

use super::experiment::{Axis, Experiment, Graph, Kind, Scale, Unit};
use super::plan::Plan;
use super::recorder::Recorder;
use super::roles::{self, Role};
use super::trouble::Trouble;
use super::{room, says};
use compiled::Linking;

const LIVE: Axis = Axis { label: "live children", unit: Unit::Count, scale: Scale::Log };
const FIRST: Axis = Axis { label: "time until the first byte", unit: Unit::Nanoseconds, scale: Scale::Log };

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    name: "spawn",
    about: "making a child until its first byte arrives, and reaping it",
    graphs: &[
        Graph {
            name: "first",
            title: "Making a child, until its first byte",
            method: "A small static program makes a child and reads the byte that the child writes first. The executed \
                     program is tine-time, which is freestanding. In the hand-over a byte wakes one of the children that \
                     wait ahead, as a connection wakes one in accept.",
            kind: Kind::Lines,
            x: LIVE,
            y: FIRST,
            says: sentences::first,
        },
        Graph {
            name: "reap",
            title: "From the first byte to the child's end being known",
            method: "The child ends after its byte. To wait for any is to look for whichever child has ended, as \
                     supervisors do, and as the kernel does one by one; to wait for one is to name it.",
            kind: Kind::Lines,
            x: LIVE,
            y: Axis { label: "time until reaped", unit: Unit::Nanoseconds, scale: Scale::Log },
            says: sentences::reap,
        },
        Graph {
            name: "heap",
            title: "The size of the parent",
            method: "The parent has written to so much memory of its own, in pages of 4 KiB, before it makes a child.",
            kind: Kind::Lines,
            x: Axis { label: "written memory of the parent", unit: Unit::Bytes, scale: Scale::Log },
            y: FIRST,
            says: sentences::heap,
        },
        Graph {
            name: "forking",
            title: "The forking program: how it is linked, and how large it is",
            method: "One C source linked both ways forks a child that writes a byte. Large is 32 MiB of written memory.",
            kind: Kind::Lines,
            x: LIVE,
            y: FIRST,
            says: sentences::forking,
        },
        Graph {
            name: "executed",
            title: "The executed program",
            method: "vfork and exec, until the program's first byte: tine-time without libc, tine with the Rust standard \
                     library linked statically, and echo, which asks the dynamic loader for libc.",
            kind: Kind::Bars,
            x: LIVE,
            y: Axis { label: "time until the first byte", unit: Unit::Nanoseconds, scale: Scale::Linear },
            says: says::bars,
        },
    ],
    seconds: [75, 5],
    pinned: true,
    run,
};

/// The processes of this experiment.
pub const ROLES: [Role; 4] = [
    Role { name: "parent", run: parent::run },
    Role { name: "pool", run: pool::run },
    Role { name: "threads", run: threads::run },
    // A program that writes a byte to its stdout and ends: a static one with the standard library.
    Role { name: "byte", run: programs::byte },
];

/// How long a child may take to write, in seconds, before its parent gives up, by alarm(2).
const PATIENCE: u32 = 60;

/// Memory of a parent that is large, in bytes.
const LARGE: u64 = 32 << 20;

/// What a process that makes children is told, as words of its command line.
#[derive(Clone, Debug, PartialEq)]
struct Task {
    /// Which round this is.
    round: u32,
    /// How often each method is measured at each step; and before that, without being told.
    samples: u32,
    warm_up: u32,
    /// How much memory the process writes to before, in bytes.
    heap: u64,
    /// The graph that the samples are for.
    graph: String,
    /// The numbers of live children.
    steps: Vec<u32>,
    /// Who is measured; or the name that it gets in the picture.
    methods: Vec<String>,
}

impl Task {
    fn words(&self) -> Vec<String> {
        let Task { round, samples, warm_up, heap, graph, steps, methods } = self;
        let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
        let numbers = [u64::from(*round), u64::from(*samples), u64::from(*warm_up), *heap];
        let mut words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        words.extend([graph.clone(), steps.join(",")]);
        words.extend(methods.iter().cloned());
        words
    }

    fn parse(words: &[String]) -> Result<Task, Trouble> {
        let [round, samples, warm_up, heap, graph, steps, methods @ ..] = words else {
            return Err(Trouble::new("begin", "a task", "words are missing"));
        };
        let strange = |word: &str| Trouble::new("begin", "a task", format_args!("{word:?} is no number"));
        let number = |word: &String| word.parse::<u32>().map_err(|_| strange(word));
        let steps: Result<Vec<u32>, Trouble> = steps.split(',').map(|step| number(&step.to_owned())).collect();
        Ok(Task {
            round: number(round)?,
            samples: number(samples)?,
            warm_up: number(warm_up)?,
            heap: heap.parse().map_err(|_| strange(heap))?,
            graph: graph.clone(),
            steps: steps?,
            methods: methods.to_vec(),
        })
    }
}

/// Which process does the making.
#[derive(Clone, Copy)]
enum Maker {
    Role(&'static str),
    Compiled(Linking),
}

/// What is run in each round: a process, and what it is told.
struct Turn {
    maker: Maker,
    task: Task,
    /// For the progress bar: roughly how long it takes, in any unit.
    weight: u64,
}

fn run(plan: &Plan, recorder: &mut Recorder) -> Result<(), Trouble> {
    let compiled = compiled::compile();
    let most = room::children(plan.most_children, recorder);
    let most_threads = room::threads(plan.most_children, recorder);
    let mut turns = Vec::new();
    let mut add = |maker, graph: &str, heap: u64, steps: &[u32], methods: &[&str]| {
        let task = Task {
            round: 0,
            samples: plan.pick(40, 15),
            warm_up: plan.warm_up,
            heap,
            graph: graph.into(),
            steps: steps.to_vec(),
            methods: methods.iter().map(ToString::to_string).collect(),
        };
        let weight = steps.iter().map(|&step| u64::from(step)).sum::<u64>() * (1 + heap / LARGE * 4) + 100;
        turns.push(Turn { maker, task, weight });
    };
    let steps = plan.decades(most);
    let present = |graph: &str, methods: &[parent::Method], recorder: &mut Recorder| {
        let mut names = Vec::new();
        for method in methods {
            match method.executes().and_then(programs::absence) {
                Some(why) => recorder.absent(graph, method.name, &why.to_string()),
                None => names.push(method.name),
            }
        }
        names
    };
    let methods = present("first", &parent::METHODS, recorder);
    let executed = present("executed", &parent::EXECUTED, recorder);
    let by_heap: Vec<&str> = methods.iter().copied().filter(|name| *name != "clone3").collect();
    add(Maker::Role("parent"), "first", 0, &steps, &methods);
    add(Maker::Role("pool"), "first", 0, &steps, &[pool::METHOD]);
    add(Maker::Role("threads"), "first", 0, &plan.decades(most_threads), &[threads::METHOD]);
    for kib in plan.pick(&[64, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10][..], &[64, 16 << 10][..]) {
        add(Maker::Role("parent"), "heap", kib << 10, &[1], &by_heap);
    }
    add(Maker::Role("parent"), "executed", 0, &[1], &executed);
    match &compiled {
        Ok(_) => {
            for (linking, heap, name) in [
                (Linking::Static, 0, "static, small"),
                (Linking::Dynamic, 0, "dynamic, small"),
                (Linking::Static, LARGE, "static, large"),
                (Linking::Dynamic, LARGE, "dynamic, large"),
            ] {
                // Each child of a large process has page tables of its own for all of it: time and memory.
                let most = if heap > 0 { room::large_children(most.div_ceil(10), heap, recorder) } else { most };
                add(Maker::Compiled(linking), "forking", heap, &plan.decades(most), &[name]);
            }
        }
        Err(why) => recorder.absent("forking", "static and dynamic C", why),
    }
    let total: u64 = turns.iter().map(|turn| turn.weight).sum::<u64>() * u64::from(plan.rounds);
    let mut done = 0;
    for (round, turn) in plan.turns(&turns) {
        recorder.progress(done, total, &turn.task.methods.join(", "));
        let mut command = match (turn.maker, &compiled) {
            (Maker::Role(name), _) => roles::command(name)?,
            (Maker::Compiled(linking), Ok(programs)) => programs.command(linking),
            (Maker::Compiled(_), Err(_)) => continue,
        };
        let task = Task { round, ..turn.task.clone() };
        roles::complete(command.args(task.words()), "a process that makes children")?;
        done += turn.weight;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_as_it_was_written() {
        let task = Task {
            round: 1,
            samples: 2,
            warm_up: 3,
            heap: 1 << 40,
            graph: "first".into(),
            steps: vec![1, 10],
            methods: vec!["fork".into(), "a, b".into()],
        };
        assert_eq!(Task::parse(&task.words()), Ok(task));
        assert!(Task::parse(&[]).is_err());
        assert!(Task::parse(&["1", "2", "3", "4", "g", "1,x"].map(String::from)).is_err());
    }
}
