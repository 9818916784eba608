"""Fine-tune an encoder on a created or a human dataset, of a built-in task or of one's own.

  accelerate launch -m llm_created.train.finetune --train me/csqa-created --model roberta-large
  accelerate launch -m llm_created.train.finetune --train RUN:2000 human:500 --model roberta-large

The same command resumes what was killed, and leaves alone what is finished.
"""

from __future__ import annotations

import logging
import math
import shutil
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from llm_created.errors import RunFailed
from llm_created.train.arguments import Arguments, Finetune, command, start
from llm_created.utils.text import digest

_log = logging.getLogger("llm_created.train")


def finetune(args: Arguments) -> dict[str, Any]:
    """Train, keep the best epoch, and write the output folder: model, tokenizer, task.json, result.json.

    Args:
        args (`Arguments`): see there; a `Finetune` says where the model goes, too.

    Returns:
        `dict[str, Any]`: the result, as in `result.json`; with `stop_after_epoch`, as it stands then, and not written.

    Raises:
        UsageError: something does not fit together.
        RunFailed: out of memory, a damaged checkpoint, a loss that is not finite.
    """
    args.check()
    began = time.perf_counter()
    accelerator = start(args.mixed_precision)
    import torch
    from torch.nn.functional import cross_entropy
    from tqdm import tqdm
    from transformers import get_linear_schedule_with_warmup

    from llm_created.evaluation import results, scores
    from llm_created.train import checkpoint, data, features, outcome, publish
    from llm_created.train import model as models

    environment = results.environment()

    # 1. The rows, and where the output goes.
    rows = data.load(args.train, args.task, args.human_data, args.num_rows, args.fraction, args.validation)
    publish.check(args, rows.about)
    variable = rows.task.variable
    identity = digest([args.settings, rows.about, results.fingerprint(rows.validation)])
    output = Path(args.output_dir or outcome.default_folder(args, rows))
    result = outcome.finished(output, identity, args.overwrite, accelerator)
    if result is not None:
        _log.info("%s is finished already", output)
        return outcome.file_and_score(result, output, args, accelerator)

    # 2. Model, tokens, optimizer, schedule.
    tokenizer = models.load_tokenizer(args.model, args.trust_remote_code)
    torch.manual_seed(args.seed)
    bare = models.load_model(args.model, rows.task, tokenizer, args.trust_remote_code)
    if args.gradient_checkpointing:
        models.checkpoint_gradients(bare, args.named)
    max_length = models.fitting_length(bare, args.max_length)
    with accelerator.local_main_process_first():
        train = features.tokenise(rows.train, variable, tokenizer, max_length)
        held = features.tokenise(rows.validation, variable, tokenizer, max_length)
    lengths, answers, pad = train.lengths(), [row.answer for row in rows.train], tokenizer.pad_token_id
    total = math.ceil(len(train) / args.batch_size) * args.epochs
    warmup = math.ceil(args.warmup_ratio * total)
    # Biases and norms are vectors; what decays are matrices.
    groups = [
        {"params": [p for p in bare.parameters() if p.ndim >= 2], "weight_decay": args.weight_decay},
        {"params": [p for p in bare.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=args.learning_rate, fused=True)
    # Not prepared: accelerate would step it once for every process.
    schedule = get_linear_schedule_with_warmup(adamw, warmup, total)
    model, optimizer = accelerator.prepare(bare, adamw)
    model.train()

    # 3. Where an earlier start left off.
    folder = output / checkpoint.FOLDER
    parts = {"optimizer": optimizer, "schedule": schedule}
    parts |= {"scaler": accelerator.scaler} if accelerator.scaler is not None else {}
    state: dict[str, Any] = {
        "identity": identity, "step": 0, "epoch": 0, "position": 0, "loss": 0.0, "seconds": 0.0,
        "best": -1.0, "best_epoch": 0, "history": [],
    }  # fmt: skip
    last = checkpoint.newest(folder)
    if last is not None:
        state = checkpoint.load(last, bare, **parts)
        _log.info("resumed at update %d of %d", state["step"], total)
    began -= state["seconds"]

    def save() -> None:
        state["seconds"] = time.perf_counter() - began
        if accelerator.is_main_process:
            checkpoint.save(folder, bare, state, **parts)
            checkpoint.forget_other_bests(folder, state["best_epoch"])
        accelerator.wait_for_everyone()

    # 4. The loop. Everything drawn by chance is a function of the seed and the place in it, so that nothing has to be
    # saved but the place.
    micro = args.micro_batch_size or math.ceil(args.batch_size / accelerator.num_processes)
    validating = (args.eval_batch_size, "--eval-batch-size")
    multiple = 8 if accelerator.device.type == "cuda" else 1
    shown = 0.0
    bar = tqdm(total=total, initial=state["step"], unit="step", disable=None if accelerator.is_main_process else True)
    while state["epoch"] < min(args.epochs, args.stop_after_epoch or args.epochs) and not _gave_up(state, args):
        # The sum over rows so far is in the main process; the others count from 0.
        so_far = state["loss"] if accelerator.is_main_process else 0.0
        loss_sum = torch.tensor(so_far, dtype=torch.float64, device=accelerator.device)
        for batch in features.batches(lengths, args.batch_size, args.seed, state["epoch"])[state["position"] :]:
            torch.manual_seed(int(digest([args.seed, state["step"], accelerator.process_index], 7), 16))
            pieces = list(features.shares(batch, accelerator.num_processes, accelerator.process_index, micro))
            for number, (piece, counted) in enumerate(pieces, 1):
                inputs, counts = train.batch(piece, pad, multiple)
                wanted = torch.tensor([answers[row] for row in piece], device=accelerator.device)
                # Gradients travel between processes once, with the last piece.
                alone = accelerator.no_sync(model) if number < len(pieces) else nullcontext()
                with models.oom_told(inputs, "--micro-batch-size", micro), alone:
                    inputs = models.inputs_for(bare, inputs, accelerator.device)
                    guesses = models.logits(model, inputs, counts, variable)
                    loss = cross_entropy(guesses, wanted, reduction="sum") * counted
                    # The mean over the rows of the whole batch, wherever they are: DDP divides by the processes.
                    accelerator.backward(loss * accelerator.num_processes / len(batch))
                loss_sum += loss.detach()
            accelerator.clip_grad_norm_(model.parameters(), args.max_grad_norm)
            with models.oom_told(inputs, "--micro-batch-size", micro):
                optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            state["step"] += 1
            state["position"] += 1
            bar.update()
            if not bar.disable and time.perf_counter() - shown > 0.5:
                shown = time.perf_counter()
                bar.set_postfix(epoch=state["epoch"] + 1, loss=f"{loss.item() / len(piece):.3f}", refresh=False)
            if args.checkpoint_every and state["step"] % args.checkpoint_every == 0:
                state["loss"] = accelerator.reduce(loss_sum, "sum").item()
                loss_sum.fill_(state["loss"] if accelerator.is_main_process else 0.0)
                save()

        # 5. Validation; the weights of the best epoch are kept, of two alike those of the first.
        mean = accelerator.reduce(loss_sum, "sum").item() / len(train)
        if not math.isfinite(mean):
            lower = f"give a --learning-rate below {args.learning_rate:g}, and --overwrite"
            raise RunFailed(f"the loss of epoch {state['epoch'] + 1} is {mean}: {lower}")
        predictions = models.predict(bare, held, variable, pad, accelerator, *validating)
        accuracy = scores.score(predictions, [row.answer for row in rows.validation]).accuracy
        state |= {"epoch": state["epoch"] + 1, "position": 0, "loss": 0.0}
        state["history"].append({"epoch": state["epoch"], "loss": round(mean, 6), "validation_accuracy": accuracy})
        if accuracy > state["best"]:
            state |= {"best": accuracy, "best_epoch": state["epoch"]}
            if accelerator.is_main_process:
                checkpoint.keep_best(folder, bare, state["epoch"])
        save()
        what = f"epoch {state['epoch']}/{args.epochs}: loss {mean:.4f}, validation accuracy {100 * accuracy:.1f}"
        _log.info("%s (n %s, %s), %.0f s", what, f"{len(held):,}", rows.about["validation"], state["seconds"])
    bar.close()

    # 6. The best epoch's weights, and what is known about them.
    result = outcome.result(args, rows, state, warmup) | {"total_steps": total, "processes": accelerator.num_processes}
    result |= {"identity": identity, "device": accelerator.device.type, "environment": environment}
    result["params"] |= {"max_length": max_length, "micro_batch_size": micro}
    if state["epoch"] < args.epochs and not _gave_up(state, args):
        _log.info("stopped after epoch %d as asked: without --stop-after-epoch it goes on", state["epoch"])
        return result
    if accelerator.is_main_process:
        checkpoint.read_weights(checkpoint.best(folder, state["best_epoch"]), bare)
        checkpoint.publish(output, bare, tokenizer)
        outcome.write_beside(output, rows, result)
        shutil.rmtree(folder, ignore_errors=True)
    accelerator.wait_for_everyone()
    return outcome.file_and_score(result, output, args, accelerator)


def _gave_up(state: dict[str, Any], args: Arguments) -> bool:
    """Whether patience is over."""
    return bool(args.patience) and state["epoch"] - state["best_epoch"] >= args.patience


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    return command(Finetune, finetune, __doc__ or "", argv)


if __name__ == "__main__":
    sys.exit(main())
