// Carries out a part of ../roles.bicep in the group of the registry.
param registryName string
param assignments array
param roleIds object

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' existing = {
  name: registryName
}

resource registryRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for item in assignments: {
  name: guid(registry.id, item.who.id, roleIds[item.role])
  scope: registry
  properties: {
    principalId: item.who.id
    principalType: item.who.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[item.role])
  }
}]
