"""What `bench topology` prints of a matrix, worked out anew from its file."""

LEADERS_SHOWN = 10
REPLICAS_USUAL = (3, 5)


def lines(files, name):
    """Every line with a number, and those between them."""
    matrix = files.toml(f"workloads/topologies/{name}.toml")
    yield f"{name}: promised by round trips alone; nothing was run"
    yield f"Source: {matrix['source']}"
    sites = matrix["sites"]
    sizes = [size for size in REPLICAS_USUAL if size < len(sites) or size == 3]
    if len(sites) % 2 and len(sites) > 3:
        sizes.append(len(sites))
    for size in sizes:
        yield from cluster(Matrix(matrix, sites[:size]))


class Matrix:
    """Commit latencies in ms, by site, that round trips alone promise."""

    def __init__(self, matrix, sites):
        self.sites = sites
        size = len(sites)
        faults = size // 2
        self.majority = faults + 1
        self.optimized = faults + (faults + 1) // 2
        self.simple = 2 * faults if size > 3 else 2
        self.round_trips = [[self._round_trip(matrix, a, b) for b in sites] for a in sites]
        majority = [self._nearest(site, self.majority) for site in range(size)]
        self.fast = [self._nearest(site, self.optimized) for site in range(size)]
        self.slow = [a + b for a, b in zip(self.fast, majority)]
        self.simple_fast = [self._nearest(site, self.simple) for site in range(size)]
        self.simple_slow = [a + b for a, b in zip(self.simple_fast, majority)]
        self.paxos = [2 * of for of in majority]
        self.by_leader = [[self.round_trips[site][leader] + majority[leader]
                           for site in range(size)] for leader in range(size)]

    @staticmethod
    def _round_trip(matrix, a, b):
        if a == b:
            return 0.0
        both = matrix.get("round_trip_ms", {}), matrix.get("one_way_ms", {})
        for pair in (f"{a}-{b}", f"{b}-{a}"):
            if pair in both[0]:
                return float(both[0][pair])
            if pair in both[1]:
                return float(sum(both[1][pair]))
        raise KeyError(f"{a}-{b}")

    def _nearest(self, site, quorum):
        """The round trip to the last of the nearest that make a quorum with its own replica."""
        return sorted(self.round_trips[site])[quorum - 1]


def mean(of):
    return sum(of) / len(of)


def ms(value):
    return f"{value:.1f}"


def table(matrix, columns):
    for place, site in enumerate(matrix.sites):
        yield " ".join([site, *(ms(of[place]) for of in columns)])
    yield " ".join(["mean", *(ms(mean(of)) for of in columns)])
    yield " ".join(["worst", *(ms(max(of)) for of in columns)])


def cluster(matrix):
    size = len(matrix.sites)
    yield (f"{size} replicas; a majority is {matrix.majority}, EPaxos' fast quorum "
           f"{matrix.optimized} (optimized) or {matrix.simple} (simple)")
    best = min(range(size), key=lambda leader: mean(matrix.by_leader[leader]))
    yield from table(matrix, [matrix.fast, matrix.slow, matrix.simple_fast, matrix.simple_slow,
                              matrix.paxos, matrix.by_leader[best]])
    for begin in range(0, size, LEADERS_SHOWN):
        yield from table(matrix, matrix.by_leader[begin:begin + LEADERS_SHOWN])
    leader, fast, slow = matrix.by_leader[best], matrix.fast, matrix.slow
    pairs = list(zip(matrix.sites, fast, leader))
    faster = ", ".join(site for site, epaxos, other in pairs if epaxos < other)
    slower = ", ".join(site for site, epaxos, other in pairs if epaxos > other)
    yield (f"Without conflicts EPaxos takes {ms(mean(fast))} ms on average where Multi-Paxos under "
           f"its best leader, {matrix.sites[best]}, takes {ms(mean(leader))}: "
           f"{difference(mean(fast), mean(leader))}; it is faster "
           f"{f'at {faster}' if faster else 'nowhere'}, slower "
           f"{f'at {slower}' if slower else 'nowhere'}. Where every command takes the slow path it "
           f"takes {ms(mean(slow))} ms at most: {difference(mean(slow), mean(leader))}.")


def difference(one, other):
    less = other - one
    word = "less" if less >= 0 else "more"
    return f"{ms(abs(less))} ms ({abs(less) / other * 100:.0f} %) {word}"
