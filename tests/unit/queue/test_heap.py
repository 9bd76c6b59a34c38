from vidcompute.queue.heap import KeyedHeap


def test_smallest_key_is_first():
    heap = KeyedHeap()
    for member, key in (("b", (2.0, 1)), ("a", (1.0, 2)), ("c", (2.0, 0))):
        heap.put(member, key)

    order = []
    while found := heap.first():
        order.append(found[1])
        heap.drop(found[1])

    assert order == ["a", "c", "b"]


def test_moved_member_counts_once_at_its_new_key():
    heap = KeyedHeap()
    heap.put("a", (1.0, 0))
    heap.put("b", (2.0, 0))
    heap.put("a", (3.0, 0))

    assert heap.first() == ((2.0, 0), "b")
    assert len(heap) == 2


def test_member_that_returns_to_its_old_key_counts_once():
    heap = KeyedHeap()
    heap.put("a", (1.0, 0))
    heap.drop("a")
    heap.put("a", (1.0, 0))
    heap.drop("a")

    assert heap.first() is None


def test_ahead_of_counts_smaller_keys_only():
    heap = KeyedHeap()
    for number in range(5):
        heap.put(str(number), (float(number), 0))

    assert [heap.ahead_of((0.0, 0)), heap.ahead_of((3.0, 0)), heap.ahead_of((3.0, 1))] == [0, 3, 4]


def test_moves_and_drops_do_not_pile_up():
    heap = KeyedHeap()
    for number in range(10_000):
        heap.put("same", (float(number), 0))
        heap.put("other", (0.0, 0))
        heap.drop("other")

    assert len(heap._items) < 100
