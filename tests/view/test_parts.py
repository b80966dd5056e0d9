"""The shards of a page are the page, whatever was stored and in which order."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from builders import families_of_messages, group_of, key_of
from exposition_page import read_page
from fuzz_profile import fuzzing
from hypothesis import given
from hypothesis import strategies as st
from metric_messages import read_delimited
from run_builders import run_id

from pushrelay.changes import Changes, Emptied, ExpectationRecord, Position
from pushrelay.expectations import JobExpectation
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.negotiation import FormatKind, ScrapeFormat
from pushrelay.exposition.stored import to_payload
from pushrelay.freshness import Policy
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import Metric, MetricFamily, MetricType
from pushrelay.policies import Policies
from pushrelay.run_evidence import OpenRun, RunEvidence
from pushrelay.runs import Outcome
from pushrelay.schedule import Expectation
from pushrelay.selector_parser import parse_selector
from pushrelay.shards import Shard, shard_number
from pushrelay.view import blocks, loading, rendering
from pushrelay.view.exposition import Exposition
from pushrelay.view.rendering import Deflated
from pushrelay.view.view import View

JOBS = ["a", "b", "pods"]
KEYS = [
    key
    for job in JOBS
    for key in (key_of(job), *(key_of(job, instance=str(n)) for n in range(4)))
]
BODIES = [
    "x 1",
    'x{l="a"} 3\nx{l="b"} 4\n# TYPE y counter\ny 1',
    '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n{"metric.é"} 1',
]
SECOND = 10**9
TEXT = ScrapeFormat(FormatKind.TEXT, Escaping.UNDERSCORES)
MESSAGES = ScrapeFormat(FormatKind.PROTOBUF_DELIMITED, Escaping.UNDERSCORES)
OWN = [MetricFamily("own", MetricType.GAUGE, "", [Metric((), 1.0)])]


class Rules(Policies):
    """Groups of the job `pods` are forgotten as soon as they are stale."""

    def policy_of(self, key: GroupingKey, stale_after: int | None) -> Policy | None:
        if key.job != "pods":
            return None
        return Policy(stale_after=100 * SECOND, forgets_when_stale=True)


def without_metrics(key: GroupingKey) -> Group:
    """Return a group with a family of no metrics, as only messages may have it."""
    families = families_of_messages(['name: "y" type: COUNTER'], key)
    return Group(key, 0, SECOND, 0, to_payload(families, SECOND))


Change = Group | Emptied | RunEvidence | ExpectationRecord


class Store:
    """A view, and what it is told commit by commit."""

    def __init__(self, *changes: Change) -> None:
        self.view = View(Rules())
        self.view.apply(Changes(None, Position(0, b""), []))
        self.commit(*changes)

    def commit(self, *changes: Change) -> None:
        """Tell the view of `changes`, as of one revision that is new."""
        held = self.view.position
        assert held is not None
        told = Changes(held, Position(held.revision + 1, b""), [])
        for change in changes:
            new = replace(change, revision=told.position.revision)
            match new:
                case Group() | Emptied():
                    told.groups.append(new)
                case RunEvidence():
                    told.runs.append(new)
                case ExpectationRecord():
                    told.expectations.append(new)
        self.view.apply(told)

    def at(self, now: int) -> None:
        """Let it be `now`."""
        self.view.advance(now)
        while not self.view.settle():
            pass

    def page(self, format_: ScrapeFormat = TEXT) -> Exposition:
        return Exposition(self.view.snapshot(), OWN, format_)


def shards(page: Exposition, of: int) -> list[Exposition]:
    return [page.of(Shard(number, of)) for number in range(of)]


def plain(page: Exposition) -> bytes:
    """Return the page, which must be the same compressed."""
    written = b"".join(page.chunks())
    assert gzip.decompress(b"".join(page.gzip_chunks())) == written
    return written


def lines(page: Exposition) -> Counter[str]:
    """Return the series of `page`, which must be one that the relay may print."""
    text = plain(page).decode()
    read_page(text)
    return Counter(line for line in text.splitlines() if line[:1] != "#")


def metrics(page: Exposition) -> Counter[str]:
    """Return the metrics of `page`, with the name, the type and the help of each."""
    found: Counter[str] = Counter()
    for family in read_delimited(plain(page)):
        assert family.metric
        head = f"{family.name} {family.type} {family.help} "
        found.update(head + str(metric) for metric in family.metric)
    return found


@st.composite
def _evidence(draw: st.DrawFn) -> RunEvidence:
    start = draw(st.integers(1, 9)) * SECOND
    opened = (OpenRun(run_id(start), start),) if draw(st.booleans()) else ()
    runs = {Outcome.SUCCESS: draw(st.integers(0, 3))}
    return RunEvidence(
        draw(st.sampled_from(KEYS)), runs=runs, last_start=start, open=opened
    )


PUSHES = st.builds(
    lambda body, key, at: group_of(body, key, pushed_at=at * SECOND),
    st.sampled_from(BODIES),
    st.sampled_from(KEYS),
    st.integers(1, 9),
)
WITHOUT_METRICS = st.builds(without_metrics, st.sampled_from(KEYS))
DELETIONS = st.builds(lambda key: Emptied(key.id, 0), st.sampled_from(KEYS))
EXPECTATIONS = st.builds(
    lambda job, per_instance: ExpectationRecord(
        job,
        0,
        JobExpectation(
            api=Expectation(every=5 * SECOND, per_instance=per_instance),
            since=SECOND,
        ),
    ),
    st.sampled_from(JOBS),
    st.booleans(),
)
COMMITS = st.lists(
    st.lists(
        st.one_of(PUSHES, WITHOUT_METRICS, DELETIONS, _evidence(), EXPECTATIONS),
        max_size=8,
    ),
    max_size=6,
)


@pytest.fixture(scope="module", autouse=True)
def small_blocks() -> Iterator[None]:
    """Let few groups make many blocks."""
    with pytest.MonkeyPatch.context() as patched:
        for module in (blocks, loading):
            patched.setattr(module, "BLOCK_GROUPS", 2)
        yield


@fuzzing(30)
@given(COMMITS, st.sampled_from([(1, 2), (2, 3), (7, 7)]), st.sampled_from([9, 200]))
def test_shards_are_the_page_and_share_nothing(
    commits: list[list[Change]], numbers: tuple[int, int], now: int
) -> None:
    store = Store()
    for changes in commits:
        store.commit(*changes)
        store.at(now * SECOND)
        # What is kept of a scrape must be that of what is there at the next one.
        whole = store.page()
        for of in numbers:
            parts = [lines(shard) for shard in shards(whole, of)]
            assert sum(parts, Counter()) == lines(whole)
    whole = store.page(MESSAGES)
    parts = [metrics(shard) for shard in shards(whole, numbers[0])]
    assert sum(parts, Counter()) == metrics(whole)


def some_store() -> Store:
    """Return one with groups, runs, what is expected, and a job that outlives its
    groups."""
    groups = [group_of(BODIES[1], key, pushed_at=9 * SECOND) for key in KEYS]
    runs = [RunEvidence(key, last_start=SECOND) for key in KEYS]
    expected = JobExpectation(api=Expectation(every=SECOND), since=SECOND)
    records = [ExpectationRecord(job, 0, expected) for job in JOBS]
    store = Store(*groups, *runs, *records)
    store.at(9 * SECOND)
    return store


def test_a_series_is_in_the_shard_of_the_labels_that_it_is_about() -> None:
    store = some_store()
    # What is kept for another number must not count.
    shards(store.page(), 3)
    for number, shard in enumerate(shards(store.page(), 5)):
        for sample in read_page(plain(shard).decode()):
            labels = dict(sample.labels)
            if "job" not in labels:
                assert (sample.name, number) == ("own", 0)
                continue
            instance = {"instance": labels["instance"]} if labels["instance"] else {}
            key = key_of(labels["job"], **instance)
            assert shard_number(key, 5) == number


@pytest.mark.parametrize("kind", FormatKind)
def test_a_shard_has_all_formats(kind: FormatKind) -> None:
    whole = some_store().page(ScrapeFormat(kind, Escaping.VALUES))
    sizes = [len(plain(shard)) for shard in shards(whole, 3)]
    assert all(0 < size < len(plain(whole)) for size in sizes)


def test_a_shard_of_a_selection_has_what_both_choose() -> None:
    chosen = [parse_selector('{job="a"}')]
    whole = some_store().page()
    found = [lines(shard.only(chosen)) for shard in shards(whole, 3)]
    assert sum(found, Counter()) == lines(whole.only(chosen))


def test_a_family_has_the_same_help_in_each_shard() -> None:
    texts = ["Usual.", "Usual.", "Unusual."]
    groups = [
        group_of(f"# HELP x {text}\nx 1", key_of("a", instance=str(number)))
        for number, text in enumerate(texts)
    ]
    for shard in shards(Store(*groups).page(), 9):
        page = plain(shard).decode()
        assert ("# HELP x Usual.\n" in page) == ("\nx{" in page)


def test_a_shard_does_not_show_a_family_of_which_it_has_no_metric() -> None:
    one, two = [next(k for k in KEYS if shard_number(k, 2) == n) for n in range(2)]
    store = Store(without_metrics(one), group_of(BODIES[1], two))
    found = [b"# TYPE y " in plain(shard) for shard in shards(store.page(), 2)]
    assert found == [False, True]


def test_what_is_kept_for_one_number_of_shards_is_not_shown_for_another() -> None:
    store = Store(*[group_of(LARGE, key) for key in KEYS])
    for of in (2, 3, 2):
        found = [lines(shard) for shard in shards(store.page(), of)]
        assert sum(found, Counter()) == lines(store.page())


LARGE = "".join(f'x{{l="{number:0200}"}} 1\n' for number in range(60))


def test_what_did_not_change_is_compressed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compress, written = rendering.deflate, []

    def noted(pieces: Iterable[bytes]) -> Deflated:
        made = compress(pieces)
        written.append(made)
        return made

    monkeypatch.setattr(rendering, "deflate", noted)
    keys = [key_of("a", instance=str(number)) for number in range(40)]
    store = Store(*[group_of(LARGE, key) for key in keys])

    def pieces_compressed() -> int:
        written.clear()
        for shard in shards(store.page(), 4):
            list(shard.gzip_chunks())
        return len(written)

    assert pieces_compressed() > 20
    assert pieces_compressed() == 0
    store.commit(group_of(LARGE.replace("1\n", "2\n"), keys[0]))
    # Of all shards that have a group beside the one that changed.
    assert 1 <= pieces_compressed() <= 4


def test_what_is_kept_does_not_grow_with_the_numbers_that_are_asked_for() -> None:
    store = Store(*[group_of(LARGE, key) for key in KEYS])

    def kept() -> int:
        return sum(
            len(block.as_block().derived)
            for family in store.view.snapshot().families
            for block in family.blocks
        )

    plain(store.page().of(Shard(0, 2)))
    before = kept()
    for of in range(2, 60):
        plain(store.page().of(Shard(1, of)))
    assert kept() == before
