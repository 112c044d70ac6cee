//! The merge of hard links: which names are one file.
//!
//! Two names are one file or two wherever both exist; whoever changed that against base decides. A name that only one
//! side has is where that side has it. What cannot be had together (a is b, b is c, a is not c) is a conflict.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::future::{try_join, try_join_all};

use super::decide::{Decisions, Sides};
use super::table::merge_entry;
use super::{Merged, Side};
use crate::model::entry::{Entry, Kind};
use crate::model::path::TreePath;
use crate::model::source::{NodeSource, lookup, read_links};
use crate::model::tree::{LinkGroup, Root};

/// Base, ours, theirs.
const SIDES: usize = 3;

/// What a name is on one side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum State {
    Absent,
    /// The only name of its file; the number tells it from others.
    Alone(usize),
    /// One of the names of the group of that number.
    InGroup(usize),
}

/// A name that some side's table holds, and what it is everywhere.
struct Name {
    path: TreePath,
    states: [State; SIDES],
    entries: [Option<Entry>; SIDES],
    merged: Entry,
}

impl Name {
    fn sides(&self) -> Sides<'_> {
        let [base, ours, theirs] = &self.entries;
        Sides { base: base.as_ref(), ours: ours.as_ref(), theirs: theirs.as_ref() }
    }
}

/// Merges the tables of hard links into `merged`, whose tree is merged already, and evens out the entries of names
/// that became one file.
pub(super) async fn merge<S: NodeSource>(
    source: &S,
    roots: [&Root; SIDES],
    decisions: &mut Decisions<'_>,
    merged: &mut Merged,
) -> Result<(), S::Error> {
    let [base, ours, theirs] = roots.map(|root| root.links.as_ref().map(|table| table.id));
    if base == ours && base == theirs && (base.is_none() || !decisions.are_by_path()) {
        return Ok(());
    }
    let tables = try_join_all(roots.map(|root| read_links(source, root.links.as_ref()))).await?;
    let untouched = |group: &LinkGroup| !decisions.are_by_path() && tables.iter().all(|table| has(table, group));
    let mut groups: Vec<LinkGroup> = tables[0].iter().filter(|group| untouched(group)).cloned().collect();
    let settled: BTreeSet<&LinkGroup> = groups.iter().collect();
    let families = families(&tables, &settled);
    let group_of = [numbered(&tables[0]), numbered(&tables[1]), numbered(&tables[2])];
    let mut found = Vec::new();
    for family in families {
        let names = load(source, roots, &group_of, merged, family).await?;
        for group in classes(&names, decisions) {
            let members: Vec<&Name> = group.iter().map(|at| &names[*at]).collect();
            found.extend(even_out(source, &members, decisions, merged).await?);
        }
    }
    groups.extend(found);
    groups.sort();
    merged.links = (groups != tables[2]).then_some(groups);
    Ok(())
}

fn has(table: &[LinkGroup], group: &LinkGroup) -> bool {
    table.binary_search(group).is_ok()
}

/// Sets of paths that any side's groups tie together, those of settled groups left out.
fn families(tables: &[Vec<LinkGroup>], settled: &BTreeSet<&LinkGroup>) -> Vec<Vec<TreePath>> {
    let mut families: Vec<Vec<TreePath>> = Vec::new();
    let mut family_of: HashMap<TreePath, usize> = HashMap::new();
    for group in tables.iter().flatten().filter(|group| !settled.contains(group)) {
        let known: BTreeSet<usize> = group.0.iter().filter_map(|path| family_of.get(path).copied()).collect();
        let into = known.first().copied().unwrap_or(families.len());
        if into == families.len() {
            families.push(Vec::new());
        }
        let mut moved: Vec<TreePath> = known.iter().skip(1).flat_map(|at| std::mem::take(&mut families[*at])).collect();
        moved.extend(group.0.iter().filter(|path| !family_of.contains_key(*path)).cloned());
        family_of.extend(moved.iter().map(|path| (path.clone(), into)));
        families[into].extend(moved);
    }
    families.retain(|family| !family.is_empty());
    families
}

/// The number of each path's group.
fn numbered(table: &[LinkGroup]) -> HashMap<&TreePath, usize> {
    table.iter().enumerate().flat_map(|(number, group)| group.0.iter().map(move |path| (path, number))).collect()
}

/// What each path of a family is on each side; paths that are gone after the merge are left out.
async fn load<S: NodeSource>(
    source: &S,
    roots: [&Root; SIDES],
    group_of: &[HashMap<&TreePath, usize>; SIDES],
    merged: &Merged,
    family: Vec<TreePath>,
) -> Result<Vec<Name>, S::Error> {
    let is_file = |entry: &Entry| entry.kind() != Kind::Dir;
    let mut names = Vec::new();
    for (number, path) in family.into_iter().enumerate() {
        let on_sides = try_join_all(roots.map(|root| lookup(source, &root.entry, &path)));
        let (entries, after) = try_join(on_sides, merged.edit.lookup(source, &path)).await?;
        let entries: [Option<Entry>; SIDES] = std::array::from_fn(|side| entries[side].clone().filter(is_file));
        let states = std::array::from_fn(|side| match &entries[side] {
            None => State::Absent,
            Some(_) => group_of[side].get(&path).map_or(State::Alone(number), |group| State::InGroup(*group)),
        });
        if let Some(merged) = after.filter(is_file) {
            names.push(Name { path, states, entries, merged });
        }
    }
    Ok(names)
}

/// Are names of these states one file? None: no side can tell.
fn are_one(a: &[State; SIDES], b: &[State; SIDES]) -> Result<Option<bool>, Disputed> {
    let on = |side: usize| match (a[side], b[side]) {
        (State::Absent, _) | (_, State::Absent) => None,
        (a, b) => Some(a == b),
    };
    match (on(0), on(1), on(2)) {
        (_, Some(ours), Some(theirs)) if ours == theirs => Ok(Some(ours)),
        (Some(base), Some(ours), Some(theirs)) => Ok(Some(if base == ours { theirs } else { ours })),
        (None, Some(_), Some(_)) => Err(Disputed),
        (_, ours, theirs) => Ok(ours.or(theirs)),
    }
}

/// Both sides made the two names, one as one file and one as two.
struct Disputed;

/// The sets of names that are one file after the merge, of at least two names each.
fn classes(names: &[Name], decisions: &mut Decisions<'_>) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..names.len()).collect();
    let mut found = Vec::new();
    for class in joined(names, &all, |a, b| !matches!(are_one(a, b), Ok(Some(false) | None))) {
        let parted = |a: &usize, b: &usize| {
            matches!(are_one(&names[*a].states, &names[*b].states), Ok(Some(false)) | Err(Disputed))
        };
        let kinds = representatives(names, &class);
        if !kinds.iter().any(|a| kinds.iter().any(|b| a != b && parted(a, b))) {
            found.push(class);
            continue;
        }
        let sides: Vec<_> = class.iter().map(|at| (&names[*at].path, names[*at].sides())).collect();
        let side = decisions.disagree_on_links(&sides).unwrap_or(Side::Theirs);
        let on = side.of(1, 2);
        found.extend(joined(names, &class, |a, b| a[on] != State::Absent && a[on] == b[on]));
    }
    found.retain(|class| class.len() > 1);
    found
}

/// One name of each set of states: names of equal states behave alike.
fn representatives(names: &[Name], class: &[usize]) -> Vec<usize> {
    let by_states: BTreeMap<_, usize> = class.iter().map(|at| (names[*at].states, *at)).collect();
    by_states.into_values().collect()
}

/// Splits `of` into the sets that `tied` ties together.
fn joined(names: &[Name], of: &[usize], tied: impl Fn(&[State; SIDES], &[State; SIDES]) -> bool) -> Vec<Vec<usize>> {
    let mut by_states: BTreeMap<[State; SIDES], Vec<usize>> = BTreeMap::new();
    for at in of {
        by_states.entry(names[*at].states).or_default().push(*at);
    }
    let mut sets: Vec<(Vec<[State; SIDES]>, Vec<usize>)> = Vec::new();
    for (states, members) in by_states {
        let (touching, mut rest): (Vec<_>, Vec<_>) =
            sets.into_iter().partition(|(of_set, _)| of_set.iter().any(|other| tied(other, &states)));
        let mut set = (vec![states], members);
        for (of_set, members) in touching {
            set.0.extend(of_set);
            set.1.extend(members);
        }
        rest.push(set);
        sets = rest;
    }
    sets.into_iter().map(|(_, members)| members).collect()
}

/// Gives all names of one file the same entry, merged from what the file is on each side. Names that were decided
/// differently, path by path, part.
async fn even_out<S: NodeSource>(
    source: &S,
    members: &[&Name],
    decisions: &mut Decisions<'_>,
    merged: &mut Merged,
) -> Result<Vec<LinkGroup>, S::Error> {
    let in_conflict = |name: &&Name| decisions.conflicts.iter().any(|conflict| conflict.path == name.path);
    let first = &members[0].merged;
    if members.iter().all(|name| name.merged.same(first)) || members.iter().any(in_conflict) {
        return Ok(vec![group(members)]);
    }
    let Some(entry) = whole_file(members, decisions) else { return Ok(parted(members)) };
    for name in members.iter().filter(|name| !name.merged.same(&entry)) {
        merged.edit.put(source, &name.path, entry.clone()).await?;
        decisions.blended.retain(|(path, _)| *path != name.path);
        if name.entries.iter().skip(1).flatten().all(|side| !side.same(&entry)) {
            decisions.blended.push((name.path.clone(), entry.clone()));
        }
    }
    Ok(vec![group(members)])
}

/// The merged entry of a file with several names; none when its names were decided differently.
fn whole_file(members: &[&Name], decisions: &mut Decisions<'_>) -> Option<Entry> {
    let newest = |side: usize| {
        let entries = members.iter().filter_map(|name| name.entries[side].as_ref());
        entries.max_by_key(|entry| entry.meta.mtime)
    };
    let is_one = |side: usize| {
        newest(side).is_none_or(|one| {
            members.iter().filter_map(|name| name.entries[side].as_ref()).all(|entry| entry.same_but_times(one))
        })
    };
    let (base, ours, theirs) = (newest(0), newest(1), newest(2));
    if is_one(1) && is_one(2) {
        let base = base.filter(|_| is_one(0));
        let entry = match (ours, theirs) {
            (Some(ours), Some(theirs)) => merge_entry(base, ours, theirs),
            (ours, theirs) => ours.or(theirs).cloned(),
        };
        if entry.is_some() {
            return entry;
        }
    }
    let sides: Vec<_> = members.iter().map(|name| (&name.path, Sides { base, ours, theirs })).collect();
    let side = decisions.disagree_on_links(&sides)?;
    side.of(ours.filter(|_| is_one(1)), theirs.filter(|_| is_one(2))).cloned()
}

fn group(members: &[&Name]) -> LinkGroup {
    let mut paths: Vec<_> = members.iter().map(|name| name.path.clone()).collect();
    paths.sort();
    LinkGroup(paths)
}

/// The names by equal entries.
fn parted(members: &[&Name]) -> Vec<LinkGroup> {
    let mut sets: Vec<Vec<&Name>> = Vec::new();
    for name in members {
        match sets.iter_mut().find(|set| set[0].merged.same(&name.merged)) {
            Some(set) => set.push(name),
            None => sets.push(vec![name]),
        }
    }
    sets.into_iter().filter(|set| set.len() > 1).map(|set| group(&set)).collect()
}
