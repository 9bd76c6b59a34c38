"""Language tags and track names that are safe in a playlist: they come from files of strangers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

#: ISO 639-2 (terminology and bibliographic codes) to ISO 639-1, which BCP 47 demands where it exists (RFC 5646 §2.2.1).
_ISO_639 = """
aar:aa abk:ab afr:af aka:ak alb:sq amh:am ara:ar arg:an arm:hy asm:as ava:av ave:ae aym:ay aze:az bak:ba
bam:bm baq:eu bel:be ben:bn bis:bi bod:bo bos:bs bre:br bul:bg bur:my cat:ca ces:cs cha:ch che:ce chi:zh
chu:cu chv:cv cor:kw cos:co cre:cr cym:cy cze:cs dan:da deu:de div:dv dut:nl dzo:dz ell:el eng:en epo:eo
est:et eus:eu ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fre:fr fry:fy ful:ff geo:ka ger:de gla:gd gle:ga
glg:gl glv:gv gre:el grn:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig
ice:is ido:io iii:ii iku:iu ile:ie ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks
kat:ka kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv
lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg mac:mk mah:mh mal:ml mao:mi mar:mr may:ms mkd:mk mlg:mg mlt:mt
mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr nde:nd ndo:ng nep:ne nld:nl nno:nn nob:nb nor:no nya:ny
oci:oc oji:oj ori:or orm:om oss:os pan:pa per:fa pli:pi pol:pl por:pt pus:ps que:qu roh:rm ron:ro rum:ro
run:rn rus:ru sag:sg san:sa sin:si slk:sk slo:sk slv:sl sme:se smo:sm sna:sn snd:sd som:so sot:st spa:es
sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv tah:ty tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th tib:bo
tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur uzb:uz ven:ve vie:vi vol:vo wel:cy
wln:wa wol:wo xho:xh yid:yi yor:yo zha:za zho:zh zul:zu
"""
_TWO_LETTERS = dict(pair.split(":") for pair in _ISO_639.split())
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}", re.ASCII)
_LABEL_LIMIT = 64


def language_tag(stored: str) -> str:
    """A BCP 47 tag for a language as a container stores it: "eng" → "en", "pt_BR" → "pt-BR", nonsense → "und"."""
    tag = stored.strip().replace("_", "-")
    if not _TAG.fullmatch(tag):
        return "und"
    primary, dash, rest = tag.partition("-")
    primary = primary.lower()
    return _TWO_LETTERS.get(primary, primary) + dash + rest


def label(text: str, *, otherwise: str) -> str:
    """`text` without what an HLS quoted string (RFC 8216 §4.2) or XML cannot hold; `otherwise` if nothing is left."""
    kept = "".join(" " if _breaks(char) else char for char in text.replace('"', "'"))
    return " ".join(kept.split())[:_LABEL_LIMIT].rstrip() or otherwise


def distinct(labels: Iterable[str]) -> list[str]:
    """`labels`, a repeated one with a number: names within an HLS group must differ (RFC 8216 §4.3.4.1.1)."""
    taken: set[str] = set()
    named: list[str] = []
    for wanted in labels:
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted} ({number})"
        taken.add(name)
        named.append(name)
    return named


def _breaks(char: str) -> bool:
    # Controls, format characters (bidirectional overrides among them), surrogates, private use, unassigned,
    # and the line and paragraph separators that some parsers take for a line end.
    return unicodedata.category(char)[0] == "C" or unicodedata.category(char) in {"Zl", "Zp"}
