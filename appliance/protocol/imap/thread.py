"""THREAD's algorithms over columns of messages, and its response (RFC 5256 §3, BASE.6.4.THREAD, BASE.7.2.THREAD).

Messages are known by their place, in mailbox order; places from the number of messages on are dummies. Everything runs in steps, as
generators that yield between them, so that an event loop can run others. Time is linear but for one sort by date: hostile references
could make each loop check walk up a long chain, so all checks together may take WALK steps a message; links that need more are left out.

A forest is written as tokens: a place, or OPEN, CLOSE, SPACE.
"""

from array import array
from collections.abc import Generator, Sequence
from typing import Protocol

from appliance.mail.ordering import sorted_places

OPEN, CLOSE, SPACE = -1, -2, -3
STEP = 1000
"""Messages in one step: a few milliseconds."""
TOKENS = 8000
"""The same for tokens."""
WALK = 256
"""Steps of loop checks for each message, on average; those of real mailboxes are below 10."""
Tokens = Generator[None, None, "array[int]"]


class ThreadMessages(Protocol):
    """Parallel columns in mailbox order: sent dates, hashes of base subjects and Message-IDs (0: none), whether the subject is that of
    a reply or forward, and hashes of the references that REFERENCES uses."""

    sent: "array[int]"
    subjects: "array[int]"
    message_ids: "array[int]"
    is_reply: "array[int]"
    references: "list[tuple[int, ...]]"


def ordered_subject(messages: ThreadMessages) -> Tokens:
    """ORDEREDSUBJECT: one thread for each base subject, all others below its first message."""
    order = yield from sorted_places(messages.sent)
    first: dict[int, int] = {}
    forest = Forest(len(order))
    for place in order:
        root = first.setdefault(messages.subjects[place], place)
        if root == place:
            forest.roots.append(place)
        else:
            forest.children.setdefault(root, []).append(place)
    return (yield from forest.tokens())


def references(messages: ThreadMessages) -> Tokens:
    """REFERENCES; the numbers in the comments are the steps of RFC 5256 §3."""
    count = len(messages.sent)
    order = yield from sorted_places(messages.sent)
    rank = array("I", bytes(4 * count))
    for number, place in enumerate(order):
        rank[place] = number
    links = Links(count)
    yield from _link(messages, links)  # 1
    forest = Forest(count)
    for number, place in enumerate(order):  # 2, 3; in order of date, so that 4 and 6 find all siblings sorted
        forest.add(links.real_parent(place), place)
        if not number % STEP:
            yield
    forest.promote()
    _gather_subjects(messages, forest, rank)  # 5, 6
    return (yield from forest.tokens())


class Links:
    """Step 1: parents by place, -1 for none; no loop is ever made."""

    __slots__ = ("_budget", "_has_child", "_real", "count", "parent")

    def __init__(self, count: int) -> None:
        self.count = count
        self.parent = [-1] * count
        self._has_child = bytearray(count)
        self._budget = WALK * count
        self._real: dict[int, int] = {}

    def dummy(self) -> int:
        self.parent.append(-1)
        self._has_child.append(0)
        return len(self.parent) - 1

    def add(self, parent: int, child: int) -> None:
        """Make the link unless that made a loop: what has no child is above nothing, all else is looked for above the parent."""
        if parent == child or (self._has_child[child] and self._is_below(parent, child)):
            return
        self.parent[child] = parent
        self._has_child[parent] = 1

    def _is_below(self, place: int, above: int) -> bool:
        while place >= 0 and place != above:
            self._budget -= 1
            if self._budget < 0:
                return True
            place = self.parent[place]
        return place == above

    def real_parent(self, place: int) -> int:
        """The nearest message above; else the topmost dummy above; else -1 (step 3: dummies below the root are left out)."""
        above = self.parent[place]
        passed = []
        while above >= self.count and above not in self._real:
            passed.append(above)
            if self.parent[above] < 0:
                break
            above = self.parent[above]
        above = self._real.get(above, above)
        for dummy in passed:
            self._real[dummy] = above
        return above


def _link(messages: ThreadMessages, links: Links) -> Generator[None, None, None]:
    by_id: dict[int, int] = {}
    for place, own in enumerate(messages.message_ids):
        if own:
            by_id.setdefault(own, place)  # a duplicate Message-ID names the first message
    parent = links.parent
    for place, referred in enumerate(messages.references):
        if not place % STEP:
            yield
        last = -1
        for one in referred:  # 1.A
            node = by_id.get(one, -1)
            if node < 0:
                node = by_id[one] = links.dummy()
            if last >= 0 and parent[node] < 0:
                links.add(last, node)
            last = node
        parent[place] = -1
        if last >= 0:  # 1.B
            links.add(last, place)


class Forest:
    """Roots, and children by place. Below a root there are messages only; a dummy root has two children or more, once `promote` ran."""

    __slots__ = ("children", "count", "fresh", "roots")

    def __init__(self, count: int) -> None:
        self.count = count
        self.fresh = 2**31
        """Places from here on are dummies that step 5 made, numbered downwards."""
        self.roots: list[int] = []
        self.children: dict[int, list[int]] = {}

    def add(self, parent: int, place: int) -> None:
        """A message below `parent`, or at the root for -1; the first child of a dummy brings it to the root."""
        if parent < 0:
            self.roots.append(place)
            return
        siblings = self.children.get(parent)
        if siblings is not None:
            siblings.append(place)
            return
        self.children[parent] = [place]
        if parent >= self.count:
            self.roots.append(parent)

    def promote(self) -> None:
        """Step 3: the only child of a dummy takes its place."""
        self.roots = [self.children.pop(root)[0] if self.is_dummy(root) and len(self.children[root]) == 1 else root for root in self.roots]

    def is_dummy(self, place: int) -> bool:
        return place >= self.count

    def first(self, root: int) -> int:
        """The message that stands for a root: itself, or the first child of a dummy."""
        return self.children[root][0] if root >= self.count else root

    def dummy(self, children: list[int]) -> int:
        self.fresh -= 1
        self.children[self.fresh] = children
        return self.fresh

    def tokens(self) -> Tokens:
        written = array("i")
        write, children = written.append, self.children
        due = 0
        for root in self.roots:
            todo = [CLOSE]
            if self.is_dummy(root):
                for child in reversed(children[root]):
                    todo += (CLOSE, child, OPEN)
            else:
                todo.append(root)
            write(OPEN)
            while todo:
                place = todo.pop()
                write(place)
                if len(written) > due:
                    due += TOKENS
                    yield
                below = children.get(place)
                if below is None:
                    continue
                write(SPACE)
                if len(below) == 1:
                    todo.append(below[0])
                else:
                    for child in reversed(below):
                        todo += (CLOSE, child, OPEN)
        return written


def _gather_subjects(messages: ThreadMessages, forest: Forest, rank: "array[int]") -> None:
    """Steps 5 and 6: roots of one base subject become one thread."""
    is_reply, table = messages.is_reply, _subject_table(messages, forest)
    roots: list[int] = []
    changed: set[int] = set()
    replaced: set[int] = set()
    for root in forest.roots:
        subject = messages.subjects[forest.first(root)]
        head = table[subject] if subject else root
        if root in replaced:
            continue  # below the dummy already
        if head == root:
            roots.append(root)
            continue
        if forest.is_dummy(head) and forest.is_dummy(root):
            forest.children[head] += forest.children.pop(root)
        elif forest.is_dummy(head) or (is_reply[root] and not is_reply[head]):
            forest.children.setdefault(head, []).append(root)
        else:
            replaced.add(head)
            head = table[subject] = forest.dummy([head, root])
            roots.append(head)
        changed.add(head)
    for head in changed:
        forest.children[head].sort(key=rank.__getitem__)
    forest.roots = [root for root in roots if root not in replaced]
    if changed:
        forest.roots.sort(key=lambda root: rank[forest.first(root)])


def _subject_table(messages: ThreadMessages, forest: Forest) -> dict[int, int]:
    """Step 5.B: which root stands for each base subject."""
    is_reply = messages.is_reply
    table: dict[int, int] = {}
    for root in forest.roots:
        subject = messages.subjects[forest.first(root)]
        if not subject:
            continue
        head = table.setdefault(subject, root)
        if not forest.is_dummy(head) and (forest.is_dummy(root) or (is_reply[head] and not is_reply[root])):
            table[subject] = root
    return table


def encode_threads(tokens: Sequence[int], numbers: Sequence[int]) -> bytes:
    """Tokens as THREAD's data, with the number of each place."""
    words = [b"%d" % number for number in numbers]
    words += (b" ", b")", b"(")  # what SPACE, CLOSE and OPEN index
    return b"".join(map(words.__getitem__, tokens))
