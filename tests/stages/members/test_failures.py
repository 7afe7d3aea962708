from stages.errors import Damaged, Diverged, LayoutMismatch
from stages.members.failures import LISTED, together


def test_each_kind_s_first_is_told_in_full_and_the_others_by_name():
    failures = {f"{i}.pt": Diverged(f"/x/{i}.pt: tensor 'fc1.weight' has {i} of 32 values") for i in (2, 5)}
    failures |= {"7.pt": Diverged("/x/7.pt: tensor 'fc2.weight' has 1 of 8 values"), "8.pt": Damaged("/x/8.pt: torn")}
    error = together(failures, 20)
    assert isinstance(error, Diverged)
    assert str(error) == (
        "/x/2.pt: tensor 'fc1.weight' has 2 of 32 values; the same in 5.pt; "
        "/x/7.pt: tensor 'fc2.weight' has 1 of 8 values; /x/8.pt: torn; "
        "zoo.skip: ['2.pt', '5.pt', '7.pt', '8.pt'] leaves them out"
    )


def test_one_of_many_is_told_as_it_is_with_the_way_out():
    error = LayoutMismatch("/x/a.pt: tensor 'w' is missing")
    assert str(together({"a.pt": error}, 9)) == f"{error}; zoo.skip: ['a.pt'] leaves it out"
    assert str(together({"a.pt": error}, 1)) == str(error)


def test_a_thousand_names_and_kinds_are_cut_short():
    same = {f"{i}.pt": Damaged(f"/x/{i}.pt: torn at byte {i}") for i in range(1000)}
    assert f"{LISTED}.pt and {999 - LISTED} more" in str(together(same, 1000))
    other = {f"{i}.pt": Damaged(f"/x/{i}.pt: tensor '{i}.weight' is missing") for i in range(1000)}
    said = str(together(other, 1001))
    assert "; 997 more fail in other ways, such as 3.pt; zoo.skip: " in said
    assert len(said) < 30 * LISTED
