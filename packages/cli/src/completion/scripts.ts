/** The shells that we have a script for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * What a shell must load to complete `program`. The scripts know no commands: they ask
 * `program __complete WORD…`, so that they need no renewal when the program changes.
 */
export function completionScript(shell: Shell, program: string): string {
  return SCRIPTS[shell].replaceAll("PROGRAM", program);
}

/**
 * The line is split at blanks here: bash's own words end at `=` and `:`. What stands before the last
 * `=` is then taken off the candidates again, since bash replaces its own idea of a word only. Works
 * with bash 3.2, which macOS has.
 */
const BASH = `# bash completion for PROGRAM. Load it with: source <(PROGRAM completion bash)

_PROGRAM() {
  local line="\${COMP_LINE:0:COMP_POINT}" words word current cut=""
  read -ra words <<< "$line"
  case "$line" in
    *[[:space:]]) words+=("") ;;
  esac
  current="\${words[\${#words[@]}-1]}"
  case "$COMP_WORDBREAKS" in
    *=*) case "$current" in -*=*) cut="\${current%%=*}=" ;; esac ;;
  esac
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    case "$word" in
      :1)
        while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
        type compopt >/dev/null 2>&1 && compopt -o filenames
        ;;
      :*) ;;
      *) COMPREPLY+=("\${word#"$cut"}") ;;
    esac
  done < <("\${words[0]/#\\~/$HOME}" __complete "\${words[@]:1}" 2>/dev/null)
}

complete -F _PROGRAM PROGRAM
`;

const ZSH = `#compdef PROGRAM
# zsh completion for PROGRAM. Load it with: source <(PROGRAM completion zsh)
# or put it into a folder of $fpath under the name _PROGRAM.

_PROGRAM() {
  local line word with_files=0
  local -a candidates
  while IFS= read -r line; do
    case "$line" in
      :1) with_files=1 ;;
      :*) ;;
      *)
        word="\${line%%$'\\t'*}"
        if [[ "$line" == *$'\\t'* ]]; then
          candidates+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
        else
          candidates+=("\${word//:/\\\\:}")
        fi
        ;;
    esac
  done < <("\${(Q)words[1]}" __complete "\${(@Q)words[2,CURRENT]}" 2>/dev/null)
  (( \${#candidates} > 0 )) && _describe -V PROGRAM candidates
  (( with_files )) && _files
  return 0
}

# Sourced it only registers itself; found in $fpath it is the completion itself.
if [[ "\${funcstack[1]}" == _PROGRAM ]]; then
  _PROGRAM "$@"
else
  compdef _PROGRAM PROGRAM
fi
`;

const FISH = `# fish completion for PROGRAM. Load it with: PROGRAM completion fish | source

function __PROGRAM_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l program $words[1]
  set -e words[1]
  for line in ($program __complete $words "$current" 2>/dev/null)
    switch $line
      case ':1'
        set -l paths "$current"*
        for path in $paths
          test -d "$path"; and echo "$path/"; or echo "$path"
        end
      case ':*'
      case '*'
        echo $line
    end
  end
end

complete -c PROGRAM -f -a '(__PROGRAM_complete)'
`;

const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
