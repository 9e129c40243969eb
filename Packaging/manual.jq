# Part of Inkstone. Licence: see LICENSE.
#
# Manual pages from what `PROGRAM --experimental-dump-help` prints: an object with name and text for each command
# that is not hidden. Variables: date, release, extra (sections in roff that the program's own page ends with).

# Text for roff: no backslash, hyphen or leading dot of the text is read as a request.
def roff:
    gsub("\\\\"; "\\e") | gsub("-"; "\\-")
    | split("\n") | map(sub("^(?<c>[.'])"; "\\&\(.c)")) | join("\n");

# Paragraphs and lines stay; those with indented lines are printed as they are.
def paragraphs:
    split("\n\n")
    | map(roff | if test("(^|\n) ") then ".nf\n\(.)\n.fi" else gsub("\n"; "\n.br\n") end)
    | join("\n.PP\n");

def visible: .shouldDisplay != false;

def option_name: if .kind == "long" then "--\(.name)" else "-\(.name)" end | roff | "\\fB\(.)\\fR";

def value: "\\fI\(.valueName | roff)\\fR";

# An argument as the synopsis has it.
def usage:
    if .kind == "positional" then value
    elif .kind == "flag" then .preferredName | option_name
    else "\(.preferredName | option_name) \(value)" end;

def synopsis:
    (if .isRepeating then "\(usage) ..." else usage end) as $text
    | if .isOptional then "[\($text)]" else $text end;

def described:
    ".TP\n"
    + (if .kind == "positional" then value
       else (.names | map(option_name) | join(", ")) + (if .kind == "option" then " \(value)" else "" end) end)
    + "\n" + ((.abstract // "") | roff)
    + (if .allValues then "\nOne of: \(.allValues | join(", ") | roff)." else "" end)
    + (if .defaultValue then "\nDefault: \(.defaultValue | roff)." else "" end);

def section(title): if . == "" then "" else ".SH \(title)\n\(.)\n" end;

def names: (.superCommands // []) + [.commandName];

def page:
    names as $names
    | ($names | join("-")) as $name
    | [(.arguments // [])[] | select(visible)] as $arguments
    | [(.subcommands // [])[] | select(visible and .commandName != "help")] as $commands
    | { name: $name, text: (
        ".TH \($name | ascii_upcase | roff) 1 \"\($date)\" \"\($release)\" \"Inkstone\"\n"
        + ("\($name | roff) \\- \(.abstract // "" | roff | rtrimstr("."))" | section("NAME"))
        + (["\\fB\($names | join(" ") | roff)\\fR",
            (if ($commands | length) > 0 then "\\fIcommand\\fR" else empty end),
            ($arguments[] | synopsis)] | join("\n") | section("SYNOPSIS"))
        + ((.discussion // "") | if . == "" then "" else paragraphs end | section("DESCRIPTION"))
        + ([$commands[] | ".TP\n\\fB\(names | join("-") | roff)\\fR(1)\n\(.abstract // "" | roff)"]
            | join("\n") | section("COMMANDS"))
        + ([$arguments[] | described] | join("\n") | section("OPTIONS"))
        + (if ($names | length) == 1 then $extra else "" end)
        + (if ($names | length) > 1 then "\\fB\($names[:-1] | join("-") | roff)\\fR(1)" else "" end
            | section("SEE ALSO"))) },
      ($commands[] | page);

.command | page
