"""Passwords: which are right, which were, and how one might get in without one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import bcrypt
import pytest
from passwords import SECRET, check, hash_of

from pushrelay.web import basic_users
from pushrelay.web.basic_users import BasicUsers, parse_hash


class Counted:
    """Counts the passwords that are compared, as long as it lasts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.at_once = 0
        self.most_at_once = 0
        self.costs: list[int] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._lock = threading.Lock()
        self._hashpw = bcrypt.hashpw
        monkeypatch.setattr(bcrypt, "hashpw", self._count)

    def _count(self, password: bytes, salt: bytes) -> bytes:
        with self._lock:
            self.count += 1
            self.costs.append(int(salt[4:6]))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.may_go_on.wait(30)
        hashed = self._hashpw(password, salt)
        with self._lock:
            self.at_once -= 1
        return hashed


@pytest.fixture
def users() -> BasicUsers:
    return BasicUsers({"alice": hash_of("secret"), "bob": hash_of("b" * 72)})


@pytest.fixture
def counted(users: BasicUsers, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def test_a_right_password_is_right(users: BasicUsers) -> None:
    assert check(users, "alice", "secret")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        *[("alice", each) for each in ("", "Secret", "secret ", "secre", "bbbb")],
        *[
            (each, "secret")
            for each in ("", "Alice", "alice ", "alicE", "bob", "carol")
        ],
        ("alices", "ecret"),
        ("alic", "esecret"),
        ("alice:secret", ""),
        ("", "alice:secret"),
    ],
)
def test_nothing_else_is(users: BasicUsers, user: str, password: str) -> None:
    assert check(users, "alice", "secret")
    assert not check(users, user, password)


def test_users_are_told_from_others_by_name(users: BasicUsers) -> None:
    for name in ("Alice", "", "alice\0", "\ud800"):
        assert users.fingerprint(name) is None
    assert users.fingerprint("alice") is not None


def test_a_hash_has_a_fingerprint_of_its_own_in_which_it_is_not() -> None:
    users = BasicUsers({"alice": hash_of("x"), "bob": parse_hash(SECRET)})
    before = [users.fingerprint(name) for name in ("alice", "bob")]
    users.follow({"alice": hash_of("x"), "bob": parse_hash(SECRET)})
    after = [users.fingerprint(name) for name in ("alice", "bob")]
    assert before[0] != after[0]
    assert before[1] == after[1]
    assert before[1] != before[0]
    assert SECRET[-31:] not in str(before[1])


@pytest.mark.parametrize(("user", "password"), [("\ud800", "x"), ("alice", "\ud800")])
def test_what_no_bytes_stand_for_is_nobody(
    users: BasicUsers, user: str, password: str
) -> None:
    assert not check(users, user, password)


# --- what was right ---


def test_what_was_right_is_not_compared_again(
    users: BasicUsers, counted: Counted
) -> None:
    assert not users.known("alice", "secret")
    for _ in range(3):
        assert check(users, "alice", "secret")
    assert counted.count == 1


def test_what_was_wrong_is_compared_each_time(
    users: BasicUsers, counted: Counted
) -> None:
    for _ in range(3):
        assert not check(users, "alice", "guess")
    assert counted.count == 3
    assert check(users, "alice", "secret")


def test_no_more_is_remembered_than_users_have_passwords(users: BasicUsers) -> None:
    for number in range(20):
        assert not check(users, "alice", f"guess {number}")
        assert not check(users, f"user {number}", "secret")
        # The end of a long password is not seen.
        assert check(users, "bob", "b" * 72 + str(number))
    assert len(users._right) == 1


def test_so_much_is_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basic_users, "REMEMBERED", 3)
    users = BasicUsers({f"u{number}": hash_of("x") for number in range(5)})
    for number in range(5):
        assert check(users, f"u{number}", "x")
    assert [users.known(f"u{number}", "x") for number in range(5)] == [
        *(False, False, True, True, True)
    ]


CVE_2022_46146 = [
    # The exporter toolkit joined user, hash and password with colons, so that a name
    # and a password could be made which had the key of another entry.
    ("alice", f"{SECRET}:secret"),
    (f"alice:{SECRET}", "secret"),
    (f"alice:{SECRET}:secret", ""),
    ("616c696365", "736563726574"),
    ("alice\0secret", ""),
    ("alice\0", "secret"),
    ("alice", "\0secret"),
    ("alice", "secret\0"),
    ("alice", "secret\0secre"),
]


@pytest.mark.parametrize(("user", "password"), CVE_2022_46146)
def test_no_name_and_password_have_the_entry_of_others(
    user: str, password: str
) -> None:
    users = BasicUsers({"alice": parse_hash(SECRET)})
    assert check(users, "alice", "secret")
    assert not users.known(user, password)
    assert not check(users, user, password)


def test_the_wrong_password_of_an_unknown_user_is_remembered_for_nobody() -> None:
    # In the attack, the answer for an unknown user with the password of the stand-in
    # was kept, and then taken for another's.
    users = BasicUsers({"alice": hash_of("secret")})
    for name in ("carol", "", "alice\0"):
        assert not check(users, name, "secret")
    assert len(users._right) == 0
    assert not users.known("alice", "secret")


def test_a_new_hash_ends_what_was_known(users: BasicUsers) -> None:
    assert check(users, "alice", "secret")
    users.follow({"alice": hash_of("other")})
    assert not users.known("alice", "secret")
    assert not check(users, "alice", "secret")
    assert check(users, "alice", "other")


def test_the_same_hash_keeps_what_was_known(users: BasicUsers) -> None:
    kept = hash_of("secret")
    users.follow({"alice": kept})
    assert check(users, "alice", "secret")
    users.follow({"alice": kept, "bob": hash_of("b")})
    assert users.known("alice", "secret")


def test_who_is_removed_and_comes_back_with_another_hash_has_that_only(
    users: BasicUsers,
) -> None:
    assert check(users, "alice", "secret")
    users.follow({"bob": hash_of("b")})
    assert not users.known("alice", "secret")
    assert not check(users, "alice", "secret")
    users.follow({"alice": hash_of("secret")})
    assert not users.known("alice", "secret")


def test_two_users_with_one_hash_do_not_share_what_is_known() -> None:
    one = hash_of("secret")
    users = BasicUsers({"alice": one, "bob": one})
    assert check(users, "alice", "secret")
    assert not users.known("bob", "secret")


def test_what_is_known_of_a_user_is_known_of_none_with_the_beginning_of_its_name() -> (
    None
):
    one = hash_of("secret")
    users = BasicUsers({"alice": one, "alices": one, "alic": one})
    assert check(users, "alice", "secret")
    for user, password in (("alices", "ecret"), ("alic", "esecret")):
        assert not users.known(user, password)
        assert not check(users, user, password)


def test_without_users_nobody_has_a_password() -> None:
    assert not check(BasicUsers({}), "alice", "secret")


def test_two_processes_have_no_digest_in_common() -> None:
    hashes = {"alice": hash_of("secret")}
    first, second = BasicUsers(hashes), BasicUsers(hashes)
    assert check(first, "alice", "secret")
    assert check(second, "alice", "secret")
    assert not set(first._right) & set(second._right)
    assert all(b"secret" not in digest for digest in first._right)


# --- how long it takes ---


def test_an_unknown_user_costs_what_the_others_do(
    users: BasicUsers, counted: Counted
) -> None:
    users.follow({"alice": hash_of("a", 5), "bob": hash_of("b", 6)})
    counted.costs.clear()
    for number in range(20):
        assert not check(users, f"user {number}", "x")
        assert not check(users, f"user {number}", "y")
    # Each name has its own, as the names of users have.
    assert counted.costs[::2] == counted.costs[1::2]
    assert set(counted.costs) == {5, 6}


@pytest.fixture
def held(users: BasicUsers, counted: Counted) -> Iterator[Counted]:
    """Comparing waits until it may go on."""
    counted.may_go_on.clear()
    yield counted
    counted.may_go_on.set()


def test_many_that_ask_the_same_at_once_are_answered_by_one_comparison(
    users: BasicUsers, held: Counted
) -> None:
    async def ask() -> list[bool]:
        asked = [asyncio.create_task(users.check("alice", "secret")) for _ in range(50)]
        await asyncio.sleep(0)
        held.may_go_on.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == [True] * 50
    assert held.count == 1


def test_who_goes_away_does_not_take_the_answer_from_others(
    users: BasicUsers, held: Counted
) -> None:
    async def ask() -> bool:
        first = asyncio.create_task(users.check("alice", "secret"))
        second = asyncio.create_task(users.check("alice", "secret"))
        await asyncio.sleep(0)
        first.cancel()
        held.may_go_on.set()
        return await second

    assert asyncio.run(ask())


def test_what_nobody_waits_for_any_more_is_not_compared(
    users: BasicUsers, held: Counted
) -> None:
    async def ask() -> bool:
        guesses = [
            asyncio.create_task(users.check("alice", f"guess {number}"))
            for number in range(20)
        ]
        await asyncio.sleep(0)
        for each in guesses:
            each.cancel()
        await asyncio.wait(guesses)
        held.may_go_on.set()
        return await users.check("alice", "secret")

    assert asyncio.run(ask())
    # The first had begun.
    assert held.count <= 2


def test_who_asks_when_the_last_one_goes_is_answered(
    users: BasicUsers, held: Counted
) -> None:
    async def ask() -> bool:
        first = asyncio.create_task(users.check("alice", "secret"))
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.create_task(users.check("alice", "secret"))
        held.may_go_on.set()
        return await second

    assert asyncio.run(ask())


def test_one_password_is_compared_at_a_time_and_nobody_else_waits(
    users: BasicUsers, held: Counted
) -> None:
    async def ask() -> list[bool]:
        asked = [
            asyncio.create_task(users.check("alice", f"guess {number}"))
            for number in range(5)
        ]
        # The loop goes on meanwhile.
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert not any(each.done() for each in asked)
        held.may_go_on.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(ask()) == [False] * 5
    assert held.most_at_once == 1
