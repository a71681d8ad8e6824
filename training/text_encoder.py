"""Step 3: tokenizer and text encoder: ``python -m training.text_encoder <pictures> <work> [minutes]``.

Byte-pair encoding learnt on the captions; a small CLIP text model that first learns to name the attributes
that a caption speaks of, so that the denoiser starts from words that mean something. There it goes on
learning.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.captions import ATTRIBUTES
from training.pictures import Pictures, batches, load
from training.session import DEVICE, Averaged, autocast, train

TOKENS = 64
"""The longest prompt, with its start and end."""
VOCABULARY = 1400
WIDTH = 192
BATCH = 192


def learn_tokenizer(captions: Sequence[str], folder: Path) -> CLIPTokenizer:
    """Byte pairs that are frequent in captions, in CLIP's own tokenizer format."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))  # noqa: S106
    blank = CLIPTokenizer()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = blank.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        min_frequency=3,
    )
    tokenizer.train_from_iterator(captions, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = tokenizer.get_vocab()
    # A byte at the end of a word is a token of its own, which training adds only for those it met.
    for byte in pre_tokenizers.ByteLevel.alphabet():
        vocabulary.setdefault(f"{byte}</w>", len(vocabulary))
    tokenizer.model.save(str(folder))
    merges = [tuple(line.split(" ")) for line in (folder / "merges.txt").read_text().splitlines()[1:]]
    learnt = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TOKENS)
    learnt.save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)


def tokens_of(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> torch.Tensor:
    """Captions as n × 64 token ids, padded with the end of text as Stable Diffusion does."""
    padded = tokenizer(list(captions), padding="max_length", max_length=TOKENS, truncation=True)
    return torch.tensor(padded["input_ids"], dtype=torch.int64)


class Named(torch.nn.Module):
    """A text encoder and what reads attributes off its pooled output."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        self.encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                intermediate_size=512,
                num_hidden_layers=3,
                num_attention_heads=6,
                max_position_embeddings=TOKENS,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                projection_dim=WIDTH,
            )
        )
        self.heads = torch.nn.ModuleDict(
            {name: torch.nn.Linear(WIDTH, len(values)) for name, values in ATTRIBUTES.items()}
        )

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """Scores of every value of every attribute."""
        pooled = self.encoder(tokens).pooler_output
        return {name: head(pooled) for name, head in self.heads.items()}


def losses(
    model: Named, pictures: Pictures, tokens: torch.Tensor
) -> Iterator[Callable[[], tuple[torch.Tensor, dict[str, float]]]]:
    """How surprised the model is by the attributes of captions."""
    labels = {name: torch.from_numpy(pictures.labels(name)) for name in ATTRIBUTES}
    random = np.random.default_rng(0)
    for places in batches(len(tokens), BATCH, 0):
        index = torch.from_numpy(places)
        said = tokens[index, torch.from_numpy(random.integers(tokens.shape[1], size=BATCH))].to(DEVICE)

        def loss(
            index: torch.Tensor = index, said: torch.Tensor = said
        ) -> tuple[torch.Tensor, dict[str, float]]:
            with autocast():
                scores = model(said)
            each = {
                name: torch.nn.functional.cross_entropy(
                    score.float(), labels[name][index].to(DEVICE), ignore_index=-1
                )
                for name, score in scores.items()
            }
            return torch.stack(list(each.values())).mean(), {
                name: value.item() for name, value in each.items()
            }

        yield loss


def main(folder: Path, work: Path, minutes: float) -> None:
    """Learn tokenizer and text encoder, and save them as ``work/tokenizer`` and ``work/text_encoder``."""
    torch.manual_seed(1)
    pictures = load(folder, "train-")
    every = [words for each in pictures.captions for words in each]
    tokenizer = learn_tokenizer(every, work / "tokenizer")
    tokens = tokens_of(tokenizer, every).reshape(len(pictures.captions), -1, TOKENS)
    sys.stdout.write(
        f"{len(tokenizer)} tokens, longest caption {(tokens != tokenizer.eos_token_id).sum(-1).max()}\n"
    )
    model = Named(tokenizer).to(DEVICE)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    average = Averaged(model, 0.99)
    train("text_encoder", work, model, optimiser, minutes, losses(model, pictures, tokens), average)
    average.copy_to(model)
    model.encoder.save_pretrained(work / "text_encoder")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 1.5)
