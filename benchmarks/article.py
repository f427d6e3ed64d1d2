"""The article, rebuilt: LRAP at its depths beside raw pixels and the reference.

`python -m benchmarks article`. Trains the article's network for 20 epochs with
each seed, ingests MNIST, evaluates 1,000 queries; raw pixels rank the same
queries. One more row trains with the noise drawn once, as the article did.
"""

import time
from collections.abc import Generator

import numpy as np

import cbir
from benchmarks.setting import home, mnist, show, trained
from cbir.evaluate.ranking import rank
from cbir.evaluate.scores import Rankings, lrap
from cbir.model.networks.autoencoder import article_autoencoder
from cbir.model.networks.export import encoder_of
from cbir.model.networks.training import add_noise, train
from cbir.model.preprocessing import to_unit
from cbir.model.recipe import Recipe

DEPTHS = [10, 100, 1000, 10000, 60000]
#: The design's own rebuild (seed 0 of another implementation), and its raw pixels.
REFERENCE = [0.958, 0.898, 0.778, 0.540, 0.363]
PIXELS = [0.969, 0.921, 0.813, 0.588, 0.425]
SEEDS = (0, 1, 2)


def main() -> None:
    """Print LRAP of the article's features, of raw pixels, and of the reference."""
    source = mnist()
    database = np.stack([np.asarray(item.open()) for item in source.items()])
    labels = np.array([item.label for item in source.items()])
    items = {item.uri: item for item in source.queries()}
    measured, rows, chosen = [], [], []
    for seed in SEEDS:
        with home(trained(seed).name):
            start = time.perf_counter()
            evaluation = cbir.evaluate("mnist", depths=DEPTHS)
            seconds = time.perf_counter() - start
        measured.append(list(evaluation.scores.lrap.values()))
        top = evaluation.scores.precision_at[1]
        rows.append([f"autoencoder, seed {seed}", *written(measured[-1]), f"{top:.3f}", f"{seconds:.1f}"])
        chosen = [items[uri] for uri in evaluation.run.query_uris]
    rows.append(["autoencoder, mean", *written(np.mean(measured, axis=0)), "", ""])
    rows.append(["autoencoder, spread", *written(np.std(measured, axis=0)), "", ""])

    queries = np.stack([np.asarray(item.open()) for item in chosen])
    asked = np.array([item.label for item in chosen])
    once = noise_once(database)
    means, top = scored(encoded(once, queries), asked, encoded(once, database), labels)
    rows.append(["autoencoder, noise drawn once", *written(means), f"{top:.3f}", ""])
    means, top = scored(flat(queries), asked, flat(database), labels)
    rows.append(["raw pixels", *written(means), f"{top:.3f}", ""])
    rows.append(["reference: autoencoder", *written(REFERENCE), "0.942", ""])
    rows.append(["reference: raw pixels", *written(PIXELS), "0.968", ""])
    columns = ["features", *(f"LRAP@{n}" for n in DEPTHS), "precision@1", "seconds to evaluate"]
    show("MNIST, 60,000 images, 1,000 queries", columns, rows)


def written(scores: object) -> list[str]:
    return [f"{score:.3f}" for score in scores]  # type: ignore[attr-defined]


def flat(images: np.ndarray) -> np.ndarray:
    return to_unit(images.reshape(len(images), -1))


def encoded(encoder: object, images: np.ndarray) -> np.ndarray:
    return np.asarray(encoder.predict(to_unit(images[..., None]), batch_size=512, verbose=0))  # type: ignore[attr-defined]


def scored(
    queries: np.ndarray, asked: np.ndarray, database: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, float]:
    """Rank by any features with our own ranking; return LRAP at DEPTHS and precision@1."""
    lraps, tops = [], []
    for block in rank(queries, database):
        relevant = labels[block.order] == asked[block.start : block.start + len(block.order), None]
        tied = np.zeros_like(relevant)
        tied[:, 1:] = block.distances[:, 1:] == block.distances[:, :-1]
        lraps.append(lrap(Rankings(relevant, tied, DEPTHS)))
        tops.append(relevant[:, 0])
    return np.concatenate(lraps).mean(axis=0), float(np.concatenate(tops).mean())


def noise_once(images: np.ndarray) -> object:
    """Train with one draw of noise for all epochs, and return the encoder."""
    recipe = Recipe()
    clean_all = to_unit(images[..., None])
    noisy_all = add_noise(clean_all, recipe.noise, np.random.default_rng(recipe.seed))

    def batches(_: np.ndarray, recipe: Recipe, epoch: int) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(clean_all))
        for start in range(0, len(order), recipe.batch_size):
            picked = order[start : start + recipe.batch_size]
            yield noisy_all[picked], clean_all[picked]

    autoencoder = article_autoencoder(recipe.seed)
    train(autoencoder, images[..., None], recipe, batches=batches)
    return encoder_of(autoencoder)


if __name__ == "__main__":
    main()
