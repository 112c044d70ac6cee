//! Failures that random runs found, each by its name.

use super::runs::run;
use crate::common::reference::operation::Op;

#[test]
fn numbers_below_a_moved_directory_stay_when_the_move_is_committed() {
    run(&[
        Op::Mkdir(18550, 0),
        Op::Unlink(268),
        Op::RenameOver(16130, 4962, 2),
        Op::RenameOver(297, 48936, 1),
        Op::Unlink(2528),
        Op::Create(0, 0),
        Op::Link(8, 15, 3),
        Op::Commit,
    ]);
}

#[test]
fn several_names_keep_their_number_when_another_comes_to_be_the_first() {
    run(&[Op::Rename(11475, 6, 1, 0), Op::Create(0, 0), Op::Commit]);
}

#[test]
fn a_refresh_does_not_bring_back_a_deleted_name_of_a_linked_file() {
    run(&[Op::Unlink(4790), Op::Other(0, 0, 0), Op::Refresh]);
}

#[test]
fn what_replaced_a_committed_file_keeps_replacing_it_on_a_new_base() {
    run(&[
        Op::Create(33111, 0),
        Op::RenameOver(25903, 116, 2),
        Op::Create(58226, 3),
        Op::Unlink(37890),
        Op::Rename(20280, 60628, 4, 1),
        Op::Other(0, 0, 0),
        Op::Refresh,
    ]);
}

#[test]
fn a_commit_of_nothing_leaves_the_base_where_it_is() {
    run(&[Op::Other(0, 0, 0), Op::Commit]);
}
