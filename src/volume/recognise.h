// What the first bytes of an image say that it is, where there is no more of it to look at.
#pragma once

#include <string>

#include "base/result.h"

namespace ntt {

// The views of what an image that begins with `head` holds, or its partition table: "fat12", "rockridge, joliet, iso9660", "dos".
// Empty where nothing is known. Errors: none of the image's.
Result<std::string> recognised_in(std::string head);

}  // namespace ntt
