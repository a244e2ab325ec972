# Prints the texts and numbers of one JSON value as lines of `slots.A.detail<TAB>text`.
#
# Reads what Leyden writes itself: well-formed, UTF-8, no \u escapes. Prints nothing of what is broken.

{ text = text $0 }

END {
	place = 1
	if (value("")) printf "%s", out
}

function value(path,    sign) {
	sign = next_sign()
	if (sign == "{") return members(path)
	if (sign == "[") return elements(path)
	if (sign == "\"") {
		tell(path, string())
		return !broken
	}
	return word(path)
}

function members(path,    name) {
	place++
	while (next_sign() == "\"") {
		name = string()
		if (broken || next_sign() != ":") return 0
		place++
		if (!value(path (path == "" ? "" : ".") name)) return 0
		if (next_sign() == ",") place++
	}
	return next_sign() == "}" && place++
}

function elements(path,    number) {
	place++
	while (next_sign() != "]") {
		if (!value(path "." number++)) return 0
		if (next_sign() == ",") place++
	}
	return place++
}

function string(    result, sign) {
	for (place++; (sign = substr(text, place, 1)) != "\""; place++) {
		if (sign == "") {
			broken = 1
			return ""
		}
		if (sign == "\\") {
			sign = substr(text, ++place, 1)
			if (sign ~ /[nrt]/) sign = " "
		}
		result = result sign
	}
	place++
	return result
}

function word(path) {
	if (!match(substr(text, place), /^[-+.0-9A-Za-z]+/)) return 0
	tell(path, substr(text, place, RLENGTH))
	place += RLENGTH
	return 1
}

function next_sign() {
	while (substr(text, place, 1) ~ /[ \t]/) place++
	return substr(text, place, 1)
}

function tell(path, said) { out = out path "\t" said "\n" }
