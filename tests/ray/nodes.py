"""A Ray cluster of processes on this machine: a head that executes nothing, and nodes. It ends with its stdin.

A line `CPUS GPUS` adds a node; the answer is the pid of its raylet.
"""

from __future__ import annotations

import json
import sys

from ray.cluster_utils import Cluster

SMALL = {"object_store_memory": 80_000_000, "include_dashboard": False}


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "num_cpus": 0})
    print(json.dumps(cluster.address), flush=True)
    for line in sys.stdin:
        cpus, gpus = map(int, line.split())
        node = cluster.add_node(num_cpus=cpus, num_gpus=gpus, **SMALL)
        print(json.dumps(node.all_processes["raylet"][0].process.pid), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
