"""The ten tasks of "Making Large Language Models Better Data Creators", by the names of their builders."""

NAMES = [
    *("piqa", "winogrande", "csqa", "riddle_sense", "boolq"),
    *("boolq_open", "pubmedqa", "bioasq", "strategyqa", "creak"),
]
