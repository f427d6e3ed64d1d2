"""What a person types becomes queries: `cat.jpg + "on a sofa" - 2:"black"`.

In: the arguments of a command line, or of another place where queries are typed.
Out: queries, or a QueryError that says what to type instead.

`+` and `-`, each an argument of its own between two terms, combine them; terms
that follow each other without one are separate queries. `-` alone, or as a term of a sum,
is the picture on standard input. A term is a picture's
path, a dataset's uri, or words, after a weight and a colon if it has one; a time
or a ratio, as in `12:30 on a clock`, is no weight. A file of that very name
always wins. What has a path separator or a picture's suffix is a path, so that a
typo in one is an error and not a search for its letters.
"""

import os
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from cbir.model.formats import SUFFIXES
from cbir.search.piped import STDIN, Piped, is_pipe, read_piped
from cbir.search.query import Combination, Query, QueryError, Single, Term, Words, checked_weight, named

_SIGNS = {"+": 1.0, "-": -1.0}
#: A weight, or what looks like an attempt at one, and the rest.
_WEIGHED = re.compile(
    r"([0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?|nan|inf|infinity|):(.*)", re.I | re.S
)
_DIGITS = frozenset("0123456789")
_SUFFIXES = tuple(SUFFIXES)


def parse(
    arguments: Sequence[str],
    *,
    text: bool = False,
    refusal: Callable[[], str] | None = None,
    datasets: Collection[str] = (),
) -> list[Query]:
    """Read queries.

    Parameters
    ----------
    arguments : sequence of str
    text : bool
        Whether all terms are words, whatever files there are.
    refusal : callable, optional
        Says why the collection to be searched does not understand words, if it does not.
    datasets : collection of str
        Names that begin the uris of datasets.

    Returns
    -------
    list of str, Words or Combination

    Raises
    ------
    QueryError
        An operator without a term on both sides, a wrong weight, empty words, words that are refused, or a path where
        nothing is.
    """
    queries: list[list[Term]] = []
    operator = ""
    for argument, following in zip(arguments, (*arguments[1:], ""), strict=False):
        # Alone, or as a term of a sum, `-` is standard input, as for other programs.
        due = (operator or not queries) and following in ("", *_SIGNS)
        if argument in _SIGNS and not (argument == STDIN and due and not text):
            if operator or not queries:
                raise QueryError(
                    f"'{argument}' stands between two pictures or words, as in: cat.jpg {argument} dog.jpg"
                )
            operator = argument
            continue
        alone = not operator and following not in _SIGNS
        weight, term = _weight(argument, alone=alone, text=text, datasets=datasets)
        query = _single(term, text=text, refusal=refusal, datasets=datasets)
        if operator:
            queries[-1].append(Term(_SIGNS[operator] * weight, query))
        else:
            queries.append([Term(weight, query)])
        operator = ""
    if operator:
        raise QueryError(f"nothing follows the '{operator}' at the end; add a picture or words, or leave it out")
    # A query of one term is that term, whatever its weight.
    return [Combination(terms) if len(terms) > 1 else terms[0].query for terms in queries]


def spell(query: Query) -> list[str]:
    """Write a query as the arguments that `parse` reads; what cannot be typed is named."""
    if not isinstance(query, Combination):
        return [_spelled(1.0, query)]
    first, *others = query.terms
    arguments = [_spelled(first.weight, first.query)]
    for weight, term in others:
        arguments += ["-" if weight < 0 else "+", _spelled(abs(weight), term)]
    return arguments


def title(query: Query) -> str:
    """Write a query in one line, for people."""
    if isinstance(query, Piped) and query.name == STDIN:
        return "standard input"
    return shlex.join(spell(query)) if isinstance(query, Combination) else named(query)


def _weight(argument: str, *, alone: bool, text: bool, datasets: Collection[str]) -> tuple[float, str]:
    """Split an argument into its weight and the rest; `alone` says that it is no term of a sum."""
    if not text and (argument == STDIN or os.path.exists(argument)):  # noqa: PTH110 - never raises
        return 1.0, argument
    if argument[:1] in _SIGNS:
        raise QueryError(
            f"'{argument}' begins with '{argument[0]}', which stands alone between two terms: {argument[0]} "
            f"{shlex.quote(argument[1:])} (words that begin so are written with a weight: 1:{argument})"
        )
    weighed = _WEIGHED.fullmatch(argument)
    if weighed is None:
        return 1.0, argument
    number, rest = weighed.groups()
    if not number:
        raise QueryError(f"'{argument}' has an empty weight; write 2{argument}, or 1:{argument} if it begins so")
    if not rest.strip():
        raise QueryError(f"'{argument}' has a weight and nothing to search for; write {number}:cat.jpg")
    if _may_be_words(number, rest) and (text or not _is_picture(rest, datasets)):
        if alone:  # where a weight says nothing
            return 1.0, argument
        raise QueryError(
            f"'{argument}' may be words, or '{rest}' with the weight {number}; write 1:{argument} for the former, "
            f"{shlex.quote(f'{number}: {rest}')} for the latter"
        )
    try:
        return checked_weight(float(number)), rest
    except QueryError as error:
        raise QueryError(f"'{argument}': {error} (words that begin so are written 1:{argument})") from None


def _may_be_words(number: str, rest: str) -> bool:
    """Tell whether a number, a colon and the rest may be a time or a ratio, and not a weight and a term."""
    if number[0] not in _DIGITS | {"."} or rest[0] not in _DIGITS:
        return False
    further = _WEIGHED.fullmatch(rest)  # as in 2:3:cat.jpg, or in 12:30:45
    return further is None or (float(number) != 1 and further[2][:1] in _DIGITS)


def _is_picture(term: str, datasets: Collection[str]) -> bool:
    """Tell whether a term is a file, a dataset's uri, or looks like a path."""
    dataset, colon, _ = term.partition(":")
    return os.path.isfile(term) or bool(colon and dataset in datasets) or _is_path(term)  # noqa: PTH113 - never raises


def _is_path(term: str) -> bool:
    return "/" in term or "\\" in term or term.strip().lower().endswith(_SUFFIXES)


def _single(term: str, *, text: bool, refusal: Callable[[], str] | None, datasets: Collection[str]) -> Single:
    """Return a term as a path, a uri or words."""
    if text:
        return Words(term)
    if term == STDIN or is_pipe(term):
        return read_piped(term)
    exists, folder = os.path.exists(term), os.path.isdir(term)  # noqa: PTH110, PTH112 - these never raise
    dataset, colon, _ = term.partition(":")
    if (exists and not (folder and refusal is None)) or (colon and dataset in datasets):
        return term
    if _is_path(term):
        if refusal is None and not exists and "://" not in term:
            raise QueryError(f"{term} does not exist; if it is meant as words, add --text")
        return term
    words = Words(term)
    if refusal is not None:
        raise QueryError(f"'{words.text}' is not a file, and {refusal()}")
    return words


def _spelled(weight: float, query: Single) -> str:
    term = query.text if isinstance(query, Words) else str(query) if isinstance(query, str | Path) else named(query)
    number = f"{weight:.0f}" if weight.is_integer() and weight < 1e15 else repr(weight)
    # What would be read as an operator or a weight is spelled with one.
    plain = weight == 1 and term[:1] not in _SIGNS and not _WEIGHED.fullmatch(term)
    plain = plain or (weight == 1 and isinstance(query, Piped))  # `-` where a term is due is one
    if plain:
        return term
    if isinstance(query, Words) and weight != 1 and term[0] in _DIGITS:
        term = f" {term}"
    while os.path.exists(f"{number}:{term}"):  # noqa: PTH110 - a file of that name would be meant
        number = f"0{number}"
    return f"{number}:{term}"
