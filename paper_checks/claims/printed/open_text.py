"""Claims of the running text that neither a proof nor the printed figures can judge, and what would."""

from __future__ import annotations

from paper_checks.engine.records import Claim


def _open(name: str, title: str, source: str, statement: str, missing: str) -> Claim:
    return Claim(id=name, title=title, source=source, statement=statement, missing=missing)


CLAIMS = (
    _open(
        "text-true-success",
        "Success is measured under the learned world model",
        "Section 4.2",
        "All metrics are task success under the learned world model.",
        "Success in the environments: the paper prints none, so how many of its plans are exploits of the "
        "model is open. The experiment: success of the same plans in the model and in the environment.",
    ),
    _open(
        "text-compute",
        "Compute budgets of the compared planners",
        "Sections 1 and 4; Tables 1–5",
        "Times compare compute cost; the limit of about 1800 s that Tables 4 and 5 imply is the same for "
        "all.",
        "Hardware, batch sizes, budgets and the sweeps themselves, and the times of failed trials in "
        "Tables 1 and 2. The experiment: success against wall-clock time and against model evaluations, "
        "all trials counted.",
    ),
    _open(
        "text-isolated",
        "Ablations change one component at a time",
        "Appendix B",
        "Modules are removed one by one with all other hyperparameters constant; without the stopgrad the "
        "optimisation is 'sticky' and hard to tune.",
        "The configurations. By its caption Table 2's last block switches the detached gradient and the "
        "goal objective, and whether each variant was tuned anew is not said. The experiment: a factorial "
        "ablation, each cell tuned alike.",
    ),
)
