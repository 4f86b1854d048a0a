"""A run whose pictures were encoded before: a BART is trained on their tokens, and nothing else is."""

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from minidalle.checkpoint import save_json
from minidalle.data.origin import other_data
from minidalle.data.token_shards import TokenShards
from minidalle.errors import require
from minidalle.lock import alone
from minidalle.presets import Preset
from minidalle.run_notes import Say, counted, note_codec, noted_run, refuse, settings_of, timed
from minidalle.training import torchrun
from minidalle.training.codec import Codec, load_codec, refuse_others, save_codec
from minidalle.training.loop import Watch
from minidalle.training.stages import train_bart_on_tokens


def run_on_tokens(
    preset: Preset,
    folder: Path,
    tokens: Path,
    device: str = "auto",
    ranks: int = 0,
    watch: Watch | None = None,
    say: Say = lambda line: None,
    shard: bool = False,
) -> None:
    """Train a BART on what `minidalle encode` wrote, whose tokenizer and VQGAN become the run's.

    The arguments are those of `minidalle.run.run`, but for:
        preset: of it, the BART's sizes are used as far as the tokens leave them open, and the BART's training.
        tokens: the folder of the tokens.

    Raises:
        InvalidValue: the tokens are not all there, or too few; or the folder holds a run with other settings or data,
            or another tokenizer or VQGAN, or somebody else trains there.
        Interrupted, Diverged, CheckpointError: see `minidalle.training.loop.train`.
    """
    met = torchrun.meet(device, ranks, preset.training.ranks)
    if met is None:
        return  # rank 0 has done all that there was to do
    device, size, group = met
    preset.training.bart.check_ranks(size)
    codec = load_tokens_codec(tokens)
    preset = replace(preset_for(preset, codec), training=replace(preset.training, ranks=size))
    with group as launch, alone(folder / "lock", "--out", "trains"):
        _claim(folder, preset, TokenShards(tokens), codec, say)
        save_codec(codec, folder)
        note_codec(folder)
        if not (folder / "bart.safetensors").exists():
            say(f"training the bart with {counted(size)} on {device}")
            work = partial(train_bart_on_tokens, shard=shard)
            with timed(folder, "bart"):
                launch(work, size, folder, preset.bart, preset.training, tokens, device, watch=watch)


def load_tokens_codec(tokens: Path) -> Codec:
    """The tokenizer and the VQGAN that encoded a folder of tokens.

    Raises:
        InvalidValue: the tokens are not all there, or others lie in their folder.
    """
    encoding, codec = TokenShards(tokens).encoding, load_codec(tokens, torch.device("cpu"))
    made = codec.encoding(encoding.part_rows).name == encoding.name
    require(made, "--tokens", str(tokens), "the tokenizer and the VQGAN that encoded them in their folder, not others")
    return codec


def preset_for(preset: Preset, codec: Codec) -> Preset:
    """A preset whose BART reads and writes the tokens of a codec."""
    words, picture = codec.tokenizer, codec.vqgan.config
    bart = replace(preset.bart, text_vocab=words.vocab_size, text_length=words.config.text_length,
                   image_codes=picture.codes, image_length=picture.tokens)  # fmt: skip
    return replace(preset, tokenizer=words.config, vqgan=picture, bart=bart)


def _claim(folder: Path, preset: Preset, shards: TokenShards, codec: Codec, say: Say) -> None:
    """Note settings and data in the run's folder, or check that they are those noted there."""
    train, dev = (len(shards.rows(split)) for split in ("train", "dev"))
    wanted = (
        "a row or more to train on and one or more to choose the best step by; "
        f"of {len(shards):,} rows there, {train:,} are to train on and {dev:,} to choose by "
        "(shard-*-skipped.csv lists what was left out)"
    )
    require(min(train, dev) > 0, "--tokens", str(shards.folder), wanted)
    data = {**asdict(shards.source), "pictures": len(shards), "digest": shards.digest}
    noted = noted_run(folder, preset, ("bart",), say)
    if noted:
        refuse(folder, [other_data(noted.get("data"), data)])
    refuse_others(codec, folder)
    save_json(folder / "run.json", {**(noted or settings_of(preset)), "data": data})
    say(f"{len(shards):,} rows of tokens: {train:,} to train on, {dev:,} to choose the best step by")
