// A placeholder that goes with the first real file.
namespace jigsaw::build {}
